#pragma once
/// Connector: the port of an upstream. A connector is told what to send up and says what the upstream has
/// confirmed; it brings down what the upstream has for us and is told when that is safe. It knows nothing of
/// sessions, shards or disks. It lives in a module that is loaded only when the config names its kind.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock_history.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "base/settings.hpp"
#include "core/message.hpp"

namespace sluice::bridge {

/// One message on its way up. `tag` is the sender's; unique among what is unconfirmed of its lane.
struct Outgoing {
    std::uint32_t lane = 0;   ///< whose; one route has a lane per shard
    std::uint32_t route = 0;  ///< index into ConnectorSpec::routes
    std::uint64_t tag = 0;
    bool redelivery = false;  ///< offered before in this or an earlier life: the upstream may have it already
    /// Rises within a lane, and names the message for ever: the same in every offer, also after a restart.
    std::uint64_t sequence = 0;
    core::MessagePtr message;
};

enum class Outcome : std::uint8_t {
    delivered,   ///< the upstream has taken responsibility (Kafka delivery report "persisted", AMQP confirm
                 ///< without return)
    refused,     ///< for good: will not be taken however often it is sent (too large, no such exchange, bad
                 ///< routing key)
    unmappable,  ///< for good, too: the message lacks a part that the route's templates ask for
};

struct Confirm {
    std::uint32_t lane = 0;
    std::uint64_t tag = 0;
    Outcome outcome = Outcome::delivered;
    std::string reason;  ///< why it was refused; empty when delivered
};

/// One message on its way down. The connector takes it apart, the bridge makes the MQTT message of it.
struct Incoming {
    std::uint32_t route = 0;  ///< index into ConnectorSpec::down_routes
    std::uint64_t token = 0;  ///< the connector's own, never used twice in its life; comes back in settle()
    std::string source;       ///< Kafka: the topic; AMQP: the routing key, or the address; MQTT: the topic
    std::string key;          ///< Kafka: the record's key; empty elsewhere
    std::string payload;
    std::string mqtt_topic;  ///< what it had where it entered MQTT, if the upstream says so; else empty
    std::string origin;      ///< the gateway of ours that sent it up (ConnectorSpec::origin); else empty
    std::optional<wire::QoS> qos;  ///< as the upstream has it; none: does not say
    bool retain = false;
    std::optional<std::string> content_type, response_topic, correlation_data;
    std::optional<bool> payload_is_text;
    std::optional<std::uint32_t> expiry_interval_s;  ///< what is left of it
    /// Everything else: {header.NAME} in templates, and MQTT 5 user properties.
    std::vector<std::pair<std::string, std::string>> headers;
};

/// What has become of an Incoming.
struct Settled {
    std::uint64_t token = 0;
    bool kept = true;    ///< durable for all who are to have it. False: it cannot be used, and never will be
    std::string reason;  ///< when not kept
};

/// What a connector tells its bridge. Called on the connector's own thread; implementations only pass it on.
class ConnectorEvents {
  public:
    virtual ~ConnectorEvents() = default;
    /// The upstream can take messages now. Everything unconfirmed will be offered again, oldest first, with
    /// this epoch: it tells these offers from those that were under way when the upstream went down, which
    /// would otherwise overtake the older ones.
    virtual void on_up(std::uint64_t epoch) = 0;
    /// It cannot: all that is unconfirmed is void and comes again after on_up(). `reason` is one line for the
    /// operator. Also called for each failed attempt.
    virtual void on_down(const std::string& reason) = 0;
    virtual void on_confirm(std::span<const Confirm> confirms) = 0;
    /// Still up, nothing is void, but the upstream makes us wait (it is low on memory, a topic is missing, a
    /// queue is full). `reason` is one line for the operator; empty when it goes on again.
    virtual void on_stalled(const std::string& reason) { static_cast<void>(reason); }
    /// So many messages were not taken now and are sent again by the connector itself.
    virtual void on_retried(std::uint64_t count) { static_cast<void>(count); }

    /// From the upstream, in its order per source. Each is answered by one Connector::settle(), later and on
    /// another thread. May be called on a further thread of the connector.
    virtual void on_incoming(std::vector<Incoming> messages) { static_cast<void>(messages); }
    /// Whether the down direction receives: an empty problem, or one line for the operator. Told when it
    /// changes and for each failed attempt. Kinds with one connection for both directions tell both states.
    virtual void on_source(const std::string& problem) { static_cast<void>(problem); }
};

/// A route as the connector sees it: its own keys, already checked by its rows.
struct RouteSpec {
    std::string from;                ///< the topic filter; for messages to the operator
    std::string place;               ///< "/etc/sluice/sluice.toml:41" for errors
    std::shared_ptr<void> settings;  ///< the module's route settings struct
};

struct ConnectorSpec {
    std::string bridge_name;
    std::string place;
    std::shared_ptr<void> settings;      ///< the module's bridge settings struct
    std::vector<RouteSpec> routes;       ///< may be empty when there are down routes
    std::vector<RouteSpec> down_routes;  ///< RouteSpec::from is empty
    /// This gateway, for ever: letters, digits and '-', at most 40. What went up under it is not to be taken
    /// down again; the bridge sees to that.
    std::string origin;
    /// Of the store that numbers the messages (Outgoing::sequence): another one begins anew. Empty: not
    /// known.
    std::string store_id;
    /// The most messages of the down direction that may be unsettled at a time.
    std::uint32_t down_inflight_max = 1'000;
    /// The most messages that the bridge ever has offered and unconfirmed, over all its lanes.
    std::uint32_t inflight_messages_max = 10'000;
};

/// A lane by its name, which is the same in every life of the bridge: "ROUTE/SHARD".
struct LaneName {
    std::uint32_t lane = 0;
    std::string name;
};

/// Life: constructed by the module's `create` (which checks what rows cannot, e.g. templates), start(), any
/// number of offer(), stop(). Reconnects by itself with back-off and jitter.
class Connector {
  public:
    virtual ~Connector() = default;
    /// Starts the connector's thread and the first attempt to connect. `events` must outlive stop(). `lanes`:
    /// all that will ever offer.
    virtual void start(ConnectorEvents& events, std::vector<LaneName> lanes) = 0;
    /// Whether only what is on disk is to be offered. Otherwise a message may go up before that: its
    /// publisher, who has no acknowledgement yet, sends it again after a crash, and as another one.
    virtual bool wants_durable() const { return false; }
    /// Any thread; never blocks. `epoch` is that of the on_up() it answers: with any other one, or outside of
    /// on_up and on_down, the batch is ignored (it will be offered again). Order per lane is kept on the way
    /// to the upstream.
    virtual void offer(std::uint64_t epoch, std::vector<Outgoing> batch) = 0;
    /// Any thread; never blocks. Answers to on_incoming(), in any order: what was kept may be acknowledged to
    /// the upstream, what was not is to be thrown away by its rules (AMQP: rejected). Unknown tokens are
    /// ignored. When the connection goes, all that is unsettled is void: the upstream sends it again.
    virtual void settle(std::vector<Settled> settled) { static_cast<void>(settled); }
    /// Waits for what is in flight up to `grace`, closes, ends the thread. What was offered and not yet sent
    /// stays unconfirmed. No events after it returns.
    virtual void stop(std::chrono::milliseconds grace) = 0;
};

/// Changes whenever anything in this header or what it includes changes its layout.
constexpr std::uint32_t connector_abi = 8;

/// What a module exports as `extern "C" const ConnectorModule sluice_connector_module`.
struct ConnectorModule {
    std::uint32_t abi = connector_abi;
    const char* type = "";  ///< as in the config: "kafka"
    /// A module has its own copy of base/log: the loader points it at the process's one. Lines of all levels
    /// come to `sink`, which filters.
    void (*set_log_sink)(log::Sink sink) = nullptr;
    /// The same for base/clock: ages of messages are told by the process's history. It outlives the module.
    void (*set_clock_history)(ClockHistory& history) = nullptr;
    std::span<const SettingRow> (*bridge_rows)() = nullptr;
    std::span<const SettingRow> (*route_rows)() = nullptr;
    std::shared_ptr<void> (*make_bridge_settings)() = nullptr;  ///< with defaults; rows are assigned into it
    std::shared_ptr<void> (*make_route_settings)() = nullptr;
    /// Of `[[bridge.down]]`; both null when the kind has no down direction.
    std::span<const SettingRow> (*down_rows)() = nullptr;
    std::shared_ptr<void> (*make_down_settings)() = nullptr;
    /// Opens nothing. An error names place, key, problem and expectation.
    Result<std::unique_ptr<Connector>, std::string> (*create)(ConnectorSpec spec) = nullptr;
};

}  // namespace sluice::bridge
