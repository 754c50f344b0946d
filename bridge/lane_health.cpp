#include "bridge/lane_health.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sluice::bridge {
namespace {

// Messages wait, and nothing is confirmed for so long: it says "connected" and forwards nothing.
constexpr std::int64_t silent_after_ms = 15'000;
// So near a bound of bytes a spool counts as full: the next message may not fit.
constexpr double full_share = 0.98;
constexpr std::size_t routes_told_max = 3;

/// How long a lane may have to wait for its turn where lanes share a slow upstream: twice what the rate of
/// the bridge makes of it, since turns are not even.
double turn_ms(std::span<const LaneHealth> lanes, double confirm_rate) {
    if (confirm_rate <= 0) return 0;
    const auto waiting =
        std::count_if(lanes.begin(), lanes.end(), [](const auto& lane) { return lane.messages > 0; });
    return 2'000.0 * static_cast<double>(waiting) / confirm_rate;
}

bool is_full(const LaneHealth& lane, const core::QueueBounds& bounds) {
    return lane.messages >= bounds.messages_max ||
           static_cast<double>(lane.bytes) >= full_share * static_cast<double>(bounds.bytes_max);
}

/// What waits is younger than a second: it only passes through.
bool is_live(const LaneHealth& lane) {
    return static_cast<double>(lane.messages) < lane.arrival_rate;
}

/// Of a lane that grows.
double full_in_s(const LaneHealth& lane, const core::QueueBounds& bounds) {
    const double growth = lane.arrival_rate - lane.leave_rate;
    const auto waiting = static_cast<double>(lane.messages);
    const double bytes_each = static_cast<double>(lane.bytes) / waiting;
    double messages_left = static_cast<double>(bounds.messages_max) - waiting;
    if (bytes_each > 0)
        messages_left =
            std::min(messages_left,
                     (static_cast<double>(bounds.bytes_max) - static_cast<double>(lane.bytes)) / bytes_each);
    return std::max(0.0, messages_left / growth);
}

}  // namespace

Judgement judge(std::span<const LaneHealth> lanes, const core::QueueBounds& bounds,
                const UpstreamHealth& upstream) {
    using enum shard::BridgeState;
    const bool all_silent = std::all_of(lanes.begin(), lanes.end(),
                                        [](const auto& lane) { return lane.silent_ms > silent_after_ms; });
    const double turn = all_silent ? 0 : turn_ms(lanes, upstream.confirm_rate);
    std::vector<std::string_view> full_ones, silent_ones;
    const auto add = [](std::vector<std::string_view>& routes, std::string_view route) {
        if (std::find(routes.begin(), routes.end(), route) == routes.end()) routes.push_back(route);
    };
    bool waits = false;
    for (const LaneHealth& lane : lanes) {
        if (lane.messages == 0) continue;
        waits = true;
        const bool silent = lane.silent_ms > silent_after_ms && static_cast<double>(lane.silent_ms) > turn;
        if (upstream.up && !silent) continue;
        add(silent_ones, lane.route);
        if (is_full(lane, bounds)) add(full_ones, lane.route);
    }
    if (!full_ones.empty()) return {full, std::move(full_ones)};
    if (!upstream.up) return {connecting, {}};
    if (!waits) return {connected, {}};
    if (upstream.stalled) return {blocked, {}};
    if (!silent_ones.empty()) return {stalled, std::move(silent_ones)};
    return {progressing, {}};
}

std::string describe_routes(std::span<const std::string_view> routes) {
    if (routes.empty()) return {};
    const auto told = routes.first(std::min(routes.size(), routes_told_max));
    std::string text = fmt::format("route{} '{}'", routes.size() > 1 ? "s" : "", fmt::join(told, "', '"));
    if (routes.size() > told.size()) text += fmt::format(" and {} more", routes.size() - told.size());
    return text;
}

Forecast forecast(std::span<const LaneHealth> lanes, const core::QueueBounds& bounds) {
    Forecast result;
    for (const LaneHealth& lane : lanes) {
        if (lane.messages == 0 || is_live(lane)) continue;
        const double growth = lane.arrival_rate - lane.leave_rate;
        if (growth > 0) {
            const double seconds = full_in_s(lane, bounds);
            result.full_in_s = result.full_in_s < 0 ? seconds : std::min(result.full_in_s, seconds);
        } else if (growth < 0) {
            result.empty_in_s = std::max(result.empty_in_s, static_cast<double>(lane.messages) / -growth);
        }
    }
    if (result.full_in_s >= 0) result.empty_in_s = -1;
    return result;
}

}  // namespace sluice::bridge
