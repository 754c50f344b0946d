#pragma once
/// How a bridge does, from how each of its lanes does: a route that is stuck must not hide behind a busy one.
/// Pure: the time is in the arguments.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/session.hpp"
#include "shard/stats.hpp"

namespace sluice::bridge {

/// One lane now.
struct LaneHealth {
    std::string_view route;
    std::uint64_t messages = 0, bytes = 0;  ///< that wait
    std::int64_t silent_ms = 0;  ///< since the upstream last confirmed something, or had nothing to
    /// Messages a second, over about the last minute. What falls off a full spool did not leave.
    double arrival_rate = 0, leave_rate = 0;
};

/// What the connector says of the upstream.
struct UpstreamHealth {
    bool up = false;
    bool stalled = false;
    double confirm_rate = 0;  ///< of the whole bridge
};

struct Judgement {
    shard::BridgeState state = shard::BridgeState::connecting;
    std::vector<std::string_view> routes;  ///< whose fault it is, each once
};
/// Of a bridge that is neither paused nor stopped. `bounds`: of each lane.
Judgement judge(std::span<const LaneHealth> lanes, const core::QueueBounds& bounds,
                const UpstreamHealth& upstream);

/// "route 'a'", "routes 'a', 'b'"; of many the first few. Empty without any.
std::string describe_routes(std::span<const std::string_view> routes);

/// In seconds, at the rates of the last minute; negative: never.
struct Forecast {
    double full_in_s = -1;   ///< the first lane is
    double empty_in_s = -1;  ///< the last lane is; never, while another one fills up
};
Forecast forecast(std::span<const LaneHealth> lanes, const core::QueueBounds& bounds);

}  // namespace sluice::bridge
