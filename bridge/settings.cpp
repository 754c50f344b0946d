#include "bridge/settings.hpp"

namespace sluice::bridge {
namespace {
constexpr std::string_view full_names[] = {"drop_oldest", "drop_newest", "reject"};
constexpr std::string_view keep_names[] = {"all", "last_value"};
constexpr std::string_view retain_names[] = {"never", "keep", "always"};
constexpr std::string_view ack_names[] = {"spool", "upstream"};
constexpr std::string_view on_missing_names[] = {"refuse", "drop"};
constexpr std::int64_t day_ms = 24LL * 3600 * 1000;
}  // namespace

std::span<const SettingRow> bridge_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"name",
         text,
         "",
         "The name of the bridge in logs, metrics and on disk: its spool belongs to this name. Letters, "
         "digits, "
         "'-', '_' and '.', at most 64.",
         bind_setting<&BridgeSettings::name>,
         0,
         0,
         {},
         false,
         true},
        {"type",
         text,
         "",
         "The kind of upstream; the module of that kind must be installed. It decides which further keys the "
         "bridge and its routes have.",
         bind_setting<&BridgeSettings::type>,
         0,
         0,
         {},
         false,
         true},
        {"down_inflight_max", integer, "1000",
         "Messages from the upstream that may be on their way to local subscribers' queues and not yet "
         "acknowledged to it.",
         bind_setting<&BridgeSettings::down_inflight_max>, 1, 100'000},
    };
    return rows;
}

std::span<const SettingRow> dead_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"messages_max", integer, "1000",
         "Messages that the upstream has refused for good and that are kept for an operator; the oldest make "
         "room for new ones. 0: none, they are dropped.",
         bind_setting<&DeadSettings::messages_max>, 0, 1'000'000},
        {"bytes_max", size, "16MiB", "Likewise, bytes on disk.", bind_setting<&DeadSettings::bytes_max>,
         64 * 1024, 1LL << 40},
    };
    return rows;
}

std::span<const SettingRow> spool_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"bytes_max", size, "1GiB", "Bytes of messages that may wait on disk for the upstream.",
         bind_setting<&SpoolSettings::bytes_max>, 64 * 1024, 1LL << 44},
        {"messages_max", integer, "100000000", "Messages that may wait on disk for the upstream.",
         bind_setting<&SpoolSettings::messages_max>, 1, 1'000'000'000'000},
        {"age_max", duration, "7d", "A message that has waited longer is dropped; 0: never.",
         bind_setting<&SpoolSettings::age_max>, 0, 3650 * day_ms},
        {"full", choice, "drop_oldest",
         "What happens to a message that finds the spool full: it pushes out the oldest one, it is dropped, "
         "or "
         "its publisher is refused (Quota exceeded).",
         bind_setting<&SpoolSettings::full>, 0, 2, full_names},
        {"drain_rate", integer, "0",
         "Messages per second of the whole bridge while it catches up; 0: as fast as the upstream takes "
         "them.",
         bind_setting<&SpoolSettings::drain_rate>, 0, 10'000'000},
        {"inflight_max", integer, "1000",
         "Messages offered to the upstream and not yet confirmed by it, per route and shard.",
         bind_setting<&SpoolSettings::inflight_max>, 1, 65'535},
    };
    return rows;
}

std::span<const SettingRow> route_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"name", text, "",
         "The name of the route, and of its spool, for commands and logs; left out: made of `from`. A route "
         "that keeps its name keeps its backlog, whatever else of it changes.",
         bind_setting<&RouteSettings::name>},
        {"from",
         text,
         "",
         "The topic filter of the messages that go this way.",
         bind_setting<&RouteSettings::from>,
         0,
         0,
         {},
         false,
         true},
        {"when", text, "", "A condition over topic, properties and payload; left out: every message.",
         bind_setting<&RouteSettings::when>},
        {"ack", choice, "spool",
         "When the publisher of a message is acknowledged: when it is on our disk (\"spool\") or when the "
         "upstream has confirmed it (\"upstream\").",
         bind_setting<&RouteSettings::ack>, 0, 1, ack_names},
        {"on_missing", choice, "refuse",
         "What happens to a message that lacks a part which a template of the route asks for: it is treated "
         "like one that the upstream refuses, or it is dropped.",
         bind_setting<&RouteSettings::on_missing>, 0, 1, on_missing_names},
        {"sample", integer, "1",
         "Of so many messages of a topic only the first one goes this way; 1: all. Each shard remembers the "
         "4096 topics that it heard last.",
         bind_setting<&RouteSettings::sample>, 1, 1'000'000'000},
        {"interval_min", duration, "0",
         "The least time between two messages of a topic; those that come sooner do not go this way. Topics "
         "are remembered as for sample.",
         bind_setting<&RouteSettings::interval_min>, 0, 365 * day_ms},
        {"rate_max", integer, "0",
         "The most messages per second that go this way, an equal part from each shard, up to one second's "
         "worth at once; the rest does not go. 0: no limit.",
         bind_setting<&RouteSettings::rate_max>, 0, 10'000'000},
        {"keep", choice, "all",
         "What waits while the upstream is not there: all messages, or of each topic the last one that came "
         "since then (of the first 100,000 topics; what is beyond is kept whole).",
         bind_setting<&RouteSettings::keep>, 0, 1, keep_names},
    };
    return rows;
}

std::span<const SettingRow> down_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"topic", text, "{topic}",
         "Template of the local topic: {topic} and {topic[N]} (where it entered MQTT elsewhere), {source} "
         "and "
         "{source[N]} (Kafka's topic, the routing key, the address, the peer's topic), {key} (Kafka), "
         "{header.NAME}; {NAME|text} gives a text where there is no such part.",
         bind_setting<&DownSettings::topic>},
        {"qos", integer, "1", "The QoS of the local message.", bind_setting<&DownSettings::qos>, 0, 2},
        {"retain", choice, "never",
         "Whether the local message is retained: never, as it is at the upstream (MQTT), or always.",
         bind_setting<&DownSettings::retain>, 0, 2, retain_names},
    };
    return rows;
}

}  // namespace sluice::bridge
