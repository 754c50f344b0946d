// What waits: the queue of a session, in memory and in the store behind it.
#include "core/session.hpp"

#include <algorithm>

namespace sluice::core {

namespace {

// A queue that is not worth shedding: of a receiver that keeps up, or nearly so.
constexpr std::size_t shed_bytes_min = 64 * 1024;

}  // namespace

bool Session::full_for(std::size_t body_bytes) const {
    return waiting_messages() >= bounds_.messages_max || waiting_bytes() + body_bytes > bounds_.bytes_max;
}

bool Session::would_reject(std::size_t body_bytes) const {
    return bounds_.when_full == WhenFull::reject && full_for(body_bytes);
}

bool Session::make_room(std::size_t body_bytes, MemoryRoom room, Effects& effects) {
    const bool may_not_grow = room == MemoryRoom::none && !durable();
    if (bounds_.when_full != WhenFull::drop_oldest)
        return !full_for(body_bytes) && (!may_not_grow || queue_.empty());
    if (body_bytes > bounds_.bytes_max || bounds_.messages_max == 0) return false;  // nothing would help
    std::size_t freed = 0;
    const auto too_many = [&] { return may_not_grow && freed < body_bytes && !queue_.empty(); };
    while (full_for(body_bytes) || too_many()) {
        if (queue_.empty()) return make_room_in_store(body_bytes, effects);
        freed += bytes_of(queue_.front());
        drop_first(full_for(body_bytes) ? DropReason::queue_full : DropReason::memory, effects);
        // While nobody takes them, a window would only be read to be dropped.
        if (attached_) want_load_if_low(effects);
    }
    return true;
}

void Session::drop_first(DropReason reason, Effects& effects) {
    effects.drops.push_back({reason, queue_.front().row});
    settle(queue_.front().row, effects);
    queue_bytes_ -= bytes_of(queue_.front());
    queue_.pop_front();
}

bool Session::make_room_in_store(std::size_t body_bytes, Effects& effects) {
    while (full_for(body_bytes)) {
        if (waiting_messages() == 0) return false;
        if (oldest_behind_.empty()) {
            if (!may_exceed(body_bytes)) return false;
            over_limit_ = true;
            ask_for_oldest(effects);
            return true;
        }
        drop_first_in_store(effects);
    }
    return true;
}

/// What came while the store is asked which messages are the oldest may be above the limit by a window.
bool Session::may_exceed(std::size_t body_bytes) const {
    return waiting_messages() < bounds_.messages_max + bounds_.window_messages &&
           waiting_bytes() + body_bytes <= bounds_.bytes_max + bounds_.window_bytes;
}

void Session::ask_for_oldest(Effects& effects) const {
    if (loading_ || oldest_asked_) return;
    if (attached_) {
        effects.load_wanted = true;  // it wants them anyway
    } else {
        effects.oldest_wanted = true;
    }
}

void Session::drop_first_in_store(Effects& effects) {
    const StoredRow first = oldest_behind_.back();
    oldest_behind_.pop_back();
    if (oldest_behind_.empty()) oldest_behind_ = {};  // holds no memory
    effects.drops.push_back({DropReason::queue_full, first.row});
    settle(first.row, effects);
    behind_messages_ -= std::min<std::size_t>(behind_messages_, 1);
    behind_bytes_ -= std::min(behind_bytes_, first.bytes);
}

/// Drops what is owed for messages that were taken above the limit.
void Session::trim(Effects& effects) {
    const auto over = [this] {
        return waiting_messages() > bounds_.messages_max || waiting_bytes() > bounds_.bytes_max;
    };
    while (over_limit_ && over() && waiting_messages() > 0) {
        if (!queue_.empty()) {
            drop_first(DropReason::queue_full, effects);
        } else if (!oldest_behind_.empty()) {
            drop_first_in_store(effects);
        } else {
            ask_for_oldest(effects);
            return;
        }
    }
    over_limit_ = false;
}

RowId Session::oldest_after() const {
    RowId after = newest_row_in_memory_;
    for (std::size_t i = 0; i < inflight_.size(); ++i) after = std::max(after, inflight_[i].entry.row);
    return after;
}

void Session::oldest_posted() {
    oldest_asked_ = true;
    offered_since_load_ = 0;
}

void Session::on_oldest_found(std::vector<StoredRow> rows, bool exhausted, Effects& effects) {
    oldest_asked_ = false;
    if (loading_ || !queue_.empty()) return;  // a window that is there, or on its way, tells as well
    // A window that was asked for after this and came before may have brought some of them.
    std::erase_if(rows, [after = oldest_after()](const StoredRow& one) { return one.row <= after; });
    if (exhausted && offered_since_load_ == 0) {
        // What was counted but is not there (damaged rows were set aside) is not waiting any more.
        behind_messages_ = inflight_unloaded_ + rows.size();
        behind_bytes_ = inflight_unloaded_bytes_;
        for (const StoredRow& one : rows) behind_bytes_ += one.bytes;
    }
    std::reverse(rows.begin(), rows.end());
    oldest_behind_ = std::move(rows);
    trim(effects);
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
    oldest_behind_ = {};
    offered_since_load_ = 0;
}

}  // namespace sluice::core
