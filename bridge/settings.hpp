#pragma once
/// `[[bridge]]`: what every bridge has, whatever its kind. The rest of its keys belongs to the module of its
/// `type`.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/settings.hpp"

namespace sluice::bridge {

enum class SpoolFull : std::uint8_t { drop_oldest, drop_newest, reject };
/// spool: the publisher's PUBACK leaves when the message is on our disk. upstream: when the upstream has
/// confirmed it.
enum class RouteAck : std::uint8_t { spool, upstream };

/// What becomes of a message that lacks a part which the route's templates ask for. refuse: as if the
/// upstream had refused it. drop: it is let go, and counted as dropped.
enum class OnMissing : std::uint8_t { refuse, drop };

/// `[bridge.spool]`
struct SpoolSettings {
    std::uint64_t bytes_max = 1ULL << 30;
    std::uint64_t messages_max = 100'000'000;
    std::chrono::milliseconds age_max{7LL * 24 * 3600 * 1000};
    SpoolFull full = SpoolFull::drop_oldest;
    /// Messages per second of the whole bridge while it catches up; 0: as fast as the upstream takes them.
    std::uint32_t drain_rate = 0;
    std::uint32_t inflight_max = 1000;  ///< offered to the upstream and not yet confirmed, per lane
    bool operator==(const SpoolSettings&) const = default;
};
std::span<const SettingRow> spool_rows();

/// `[bridge.dead]`: what the upstream has refused for good.
struct DeadSettings {
    std::uint64_t messages_max = 1000;  ///< 0: none are kept
    std::uint64_t bytes_max = 16ULL << 20;
    bool operator==(const DeadSettings&) const = default;
};
std::span<const SettingRow> dead_rows();

/// What of a topic waits while the upstream is not there.
enum class RouteKeep : std::uint8_t { all, last_value };

/// `[[bridge.route]]`, the keys that every route has.
struct RouteSettings {
    std::string name;  ///< of its spool; empty: made of `from`
    std::string from;  ///< topic filter
    std::string when;  ///< condition over topic, properties and payload; empty: always
    RouteAck ack = RouteAck::spool;
    RouteKeep keep = RouteKeep::all;
    OnMissing on_missing = OnMissing::refuse;
    std::uint32_t sample = 1;                   ///< of so many messages of a topic one goes this way
    std::chrono::milliseconds interval_min{0};  ///< between two messages of a topic; 0: none
    std::uint32_t rate_max = 0;       ///< messages per second, of all topics and shards together; 0: no limit
    std::string place;                ///< set by the loader
    std::shared_ptr<void> connector;  ///< the module's own route settings
};
std::span<const SettingRow> route_rows();

enum class DownRetain : std::uint8_t { never, keep, always };

/// `[[bridge.down]]`, the keys that every way down has.
struct DownSettings {
    std::string topic = "{topic}";  ///< DownTemplate
    std::uint32_t qos = 1;          ///< 0 to 2, towards local subscribers
    DownRetain retain = DownRetain::never;
    std::string place;                ///< set by the loader
    std::shared_ptr<void> connector;  ///< the module's own settings
};
std::span<const SettingRow> down_rows();

struct BridgeSettings {
    std::string name;
    std::string type;  ///< "kafka" | "amqp" | ...
    std::uint32_t down_inflight_max = 1000;
    SpoolSettings spool;
    DeadSettings dead;
    std::vector<RouteSettings> routes;
    std::vector<DownSettings> downs;
    std::string place;                ///< set by the loader
    std::shared_ptr<void> connector;  ///< the module's own bridge settings
};
std::span<const SettingRow> bridge_rows();

}  // namespace sluice::bridge
