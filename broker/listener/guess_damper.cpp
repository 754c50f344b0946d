#include "listener/guess_damper.hpp"

#include <algorithm>
#include <chrono>

namespace sluice::listener {

GuessDamper::Held& GuessDamper::Held::operator=(Held&& other) noexcept {
    std::swap(of_, other.of_);
    std::swap(from_, other.from_);
    return *this;
}

GuessDamper::Held::~Held() {
    if (of_ == nullptr) return;
    const std::lock_guard lock(of_->mutex_);
    const auto entry = of_->recent_.find(from_);
    if (entry != of_->recent_.end()) --entry->second.held;
}

void GuessDamper::note_wrong(const net::IpAddress& from, MonoTime now) {
    const std::lock_guard lock(mutex_);
    forget_old(now);
    const net::IpAddress key = net::counted_as(from);
    if (recent_.size() >= addresses_max && !recent_.contains(key)) return;
    MonoTime& forgotten_at = recent_[key].all_forgotten_at;
    // Time that is waited anyway must not add up to a punishment without end.
    const auto most = one_more_after * (free_guesses + delay_max / delay_step);
    forgotten_at = std::min(std::max(forgotten_at, now) + one_more_after, now + most);
}

Millis GuessDamper::delay(const net::IpAddress& from, MonoTime now) const {
    const std::lock_guard lock(mutex_);
    const auto entry = recent_.find(net::counted_as(from));
    if (entry == recent_.end()) return Millis(0);
    // In force as if they had come at once: those of the past less those that time has forgiven.
    const Millis in_force = entry->second.all_forgotten_at - now, free = free_guesses * one_more_after;
    if (in_force <= free) return Millis(0);
    const auto beyond = (in_force - free + one_more_after - Millis(1)) / one_more_after;
    return std::min(delay_max, delay_step * beyond);
}

GuessDamper::Held GuessDamper::hold(const net::IpAddress& from) {
    const std::lock_guard lock(mutex_);
    const net::IpAddress key = net::counted_as(from);
    const auto entry = recent_.find(key);
    if (entry == recent_.end()) return {};
    ++entry->second.held;
    return {*this, key};
}

bool GuessDamper::is_crowded(const net::IpAddress& from) const {
    const std::lock_guard lock(mutex_);
    const auto entry = recent_.find(net::counted_as(from));
    return entry != recent_.end() && entry->second.held >= held_max;
}

std::size_t GuessDamper::addresses() const {
    const std::lock_guard lock(mutex_);
    return recent_.size();
}

void GuessDamper::forget_old(MonoTime now) {
    if (now - swept_ < one_more_after) return;
    swept_ = now;
    std::erase_if(recent_, [now](const auto& entry) {
        return entry.second.all_forgotten_at <= now && entry.second.held == 0;
    });
}

}  // namespace sluice::listener
