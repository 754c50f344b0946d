// What waits: the queue of a session, in memory and in the store behind it.
#include "core/session.hpp"

namespace sluice::core {

namespace {

// A queue that is not worth shedding: of a receiver that keeps up, or nearly so.
constexpr std::size_t shed_bytes_min = 64 * 1024;

}  // namespace

bool Session::full_for(std::size_t body_bytes) const {
    return queued_messages() >= bounds_.messages_max ||
           queue_bytes_ + behind_bytes_ + body_bytes > bounds_.bytes_max;
}

bool Session::would_reject(std::size_t body_bytes) const {
    return bounds_.when_full == WhenFull::reject && full_for(body_bytes);
}

bool Session::make_room(std::size_t body_bytes, MemoryRoom room, Effects& effects) {
    const bool may_not_grow = room == MemoryRoom::none && !durable();
    if (bounds_.when_full != WhenFull::drop_oldest)
        return !full_for(body_bytes) && (!may_not_grow || queue_.empty());
    std::size_t freed = 0;
    const auto too_many = [&] { return may_not_grow && freed < body_bytes && !queue_.empty(); };
    while (full_for(body_bytes) || too_many()) {
        if (queue_.empty()) {  // the oldest are in the store
            want_load_if_low(effects);
            return false;
        }
        const auto reason = full_for(body_bytes) ? DropReason::queue_full : DropReason::memory;
        effects.drops.push_back({reason, queue_.front().row});
        settle(queue_.front().row, effects);
        freed += bytes_of(queue_.front());
        queue_bytes_ -= bytes_of(queue_.front());
        queue_.pop_front();
        want_load_if_low(effects);
    }
    return true;
}

void Session::spill() {
    if (!durable() || attached_ || loading_ || resend_after_load_ || queue_.empty()) return;
    newest_row_in_memory_ = queue_.front().row - 1;
    behind_messages_ += queue_.size();
    behind_bytes_ += queue_bytes_;
    for (std::size_t i = 0; i < queue_.size(); ++i) shared_behind_ |= static_cast<bool>(queue_[i].share);
    queue_.clear();
    queue_bytes_ = 0;
}

void Session::shed(Effects& effects) {
    if (durable() || queue_bytes_ < shed_bytes_min) return;
    for (const std::size_t enough = queue_bytes_ / 2; queue_bytes_ > enough;) {
        effects.drops.push_back({DropReason::memory, 0});
        queue_bytes_ -= bytes_of(queue_.front());
        queue_.pop_front();
    }
    queue_.fit();
}

void Session::enqueue(QueueEntry entry, bool to_store_only) {
    const std::size_t bytes = bytes_of(entry);
    const bool beyond_window = queue_.size() >= bounds_.window_messages ||
                               queue_bytes_ + bytes > std::max(bounds_.window_bytes, bytes);
    if (durable() && (behind_messages_ > 0 || loading_ || beyond_window || to_store_only)) {
        ++behind_messages_;
        behind_bytes_ += bytes;
        shared_behind_ |= static_cast<bool>(entry.share);
        ++offered_since_load_;
        return;
    }
    if (entry.row != 0) newest_row_in_memory_ = entry.row;
    queue_bytes_ += bytes;
    queue_.push_back(std::move(entry));
}

bool Session::drop_if_stale(const QueueEntry& entry, Now now, Effects& effects) {
    const bool too_old =
        bounds_.age_max != Millis::max() && now.wall - entry.message->received() > bounds_.age_max;
    if (!too_old && !entry.message->expired(now.wall)) return false;  // [MQTT-3.3.2-5]
    effects.drops.push_back({DropReason::expired, entry.row});
    settle(entry.row, effects);
    return true;
}

void Session::want_load_if_low(Effects& effects) const {
    if (behind_messages_ > 0 && !loading_ && queue_.size() <= bounds_.window_messages / 2)
        effects.load_wanted = true;
}

void Session::load_posted() {
    loading_ = true;
    offered_since_load_ = 0;
}

}  // namespace sluice::core
