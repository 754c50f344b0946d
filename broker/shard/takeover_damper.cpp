#include "shard/takeover_damper.hpp"

#include <algorithm>

namespace sluice::shard {

Millis TakeoverDamper::note(std::string_view client_id, MonoTime now) {
    forget_old(now);
    std::string key(client_id);
    if (recent_.size() >= clients_max && !recent_.contains(key)) return Millis(0);
    MonoTime& forgotten_at = recent_[std::move(key)].all_forgotten_at;
    forgotten_at = std::max(forgotten_at, now) + one_more_after;
    // In force as if they had come at once: those of the past less those that time has forgiven.
    const auto in_force = std::chrono::ceil<Millis>(forgotten_at - now);
    const auto free = free_takeovers * one_more_after;
    if (in_force <= free) return Millis(0);
    const auto beyond = (in_force - free + one_more_after - Millis(1)) / one_more_after;
    const Millis delay = std::min(delay_max, delay_step * beyond);
    // Time that is waited anyway must not add up to a punishment without end.
    forgotten_at = std::min(forgotten_at, now + free + one_more_after * (delay_max / delay_step));
    return delay;
}

void TakeoverDamper::forget_old(MonoTime now) {
    if (now - swept_ < one_more_after) return;
    swept_ = now;
    std::erase_if(recent_, [now](const auto& entry) { return entry.second.all_forgotten_at <= now; });
}

}  // namespace sluice::shard
