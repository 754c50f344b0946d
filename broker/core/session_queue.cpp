// What waits: the queue of a session, in memory and in the store behind it.
#include "core/session.hpp"

#include <algorithm>

namespace sluice::core {

namespace {

// A queue that is not worth shedding: of a receiver that keeps up, or nearly so.
constexpr std::size_t shed_bytes_min = 64 * 1024;
// What is in flight and not worth reading back.
constexpr std::size_t spill_bytes_min = 4 * 1024;

}  // namespace

bool Session::full_for(std::size_t body_bytes) const {
    return waiting_messages() >= bounds().messages_max || waiting_bytes() + body_bytes > bounds().bytes_max;
}

bool Session::would_reject(std::size_t body_bytes) const {
    return bounds().when_full == WhenFull::reject && full_for(body_bytes);
}

bool Session::make_room(std::size_t body_bytes, MemoryRoom room, Effects& effects) {
    const bool may_not_grow = room == MemoryRoom::none && !durable();
    if (bounds().when_full != WhenFull::drop_oldest)
        return !full_for(body_bytes) && (!may_not_grow || queue_.empty());
    if (body_bytes > bounds().bytes_max || bounds().messages_max == 0) return false;  // nothing would help
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
    effects.progress_changed |= announced_ > 0;
    const RowId row = take_first().row;
    effects.drops.push_back({reason, row});
    settle(row, effects);
}

QueueEntry Session::take_first() {
    QueueEntry entry = std::move(queue_.front());
    queue_.pop_front();
    queue_bytes_ -= bytes_of(entry);
    if (announced_ > 0) --announced_;
    unrecorded_ = std::min(unrecorded_, announced_);
    return entry;
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
    return waiting_messages() < bounds().messages_max + bounds().window_messages &&
           waiting_bytes() + body_bytes <= bounds().bytes_max + bounds().window_bytes;
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
        return waiting_messages() > bounds().messages_max || waiting_bytes() > bounds().bytes_max;
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
    // All that had an id, and all of the window, may have been among them.
    announce(effects);
    if (attached_) want_load_if_low(effects);
}

void Session::forget_behind(RowId row, std::size_t bytes, Effects& effects) {
    settle(row, effects);
    if (row <= newest_row_in_memory_ && take_out(row)) return;
    behind_messages_ -= std::min<std::size_t>(behind_messages_, 1);
    behind_bytes_ -= std::min(behind_bytes_, bytes);
    std::erase_if(oldest_behind_, [row](const StoredRow& one) { return one.row == row; });
}

/// A window that was asked for before the far end went, and read after that, may have brought it.
bool Session::take_out(RowId row) {
    bool found = false;
    Ring<QueueEntry> left;
    for (std::size_t i = 0; i < queue_.size(); ++i) {
        if (queue_[i].row == row) {
            found = true;
            queue_bytes_ -= bytes_of(queue_[i]);
        } else {
            left.push_back(std::move(queue_[i]));
        }
    }
    queue_ = std::move(left);
    return found;
}

RowId Session::oldest_after() const {
    RowId after = newest_row_in_memory_;
    for (std::size_t i = 0; i < inflight_.size(); ++i) after = std::max(after, inflight_[i].entry.row);
    return after;
}

void Session::oldest_posted() {
    oldest_asked_ = true;
    offered_since_load_ = false;
}

void Session::on_oldest_found(std::vector<StoredRow> rows, bool exhausted, Effects& effects) {
    oldest_asked_ = false;
    if (loading_ || !queue_.empty()) return;  // a window that is there, or on its way, tells as well
    // A window that was asked for after this and came before may have brought some of them.
    std::erase_if(rows, [after = oldest_after()](const StoredRow& one) { return one.row <= after; });
    if (exhausted && !offered_since_load_) {
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
    if (!durable() || loading_ || (resend_after_load_ && attached_)) return;
    resend_after_load_ = false;  // the next attach() finds what is missing
    spill_queue();
    if (!attached_ && inflight_bytes_ >= spill_bytes_min) spill_inflight();
}

void Session::spill_queue() {
    // What has its packet id is as good as in flight.
    const std::size_t stay = announced_;
    if (queue_.size() <= stay) return;
    newest_row_in_memory_ = queue_[stay].row - 1;
    Ring<QueueEntry> left;
    for (std::size_t i = 0; i < stay; ++i) left.push_back(std::move(queue_[i]));
    for (std::size_t i = stay; i < queue_.size(); ++i) {
        const std::size_t bytes = bytes_of(queue_[i]);
        ++behind_messages_;
        behind_bytes_ += bytes;
        queue_bytes_ -= bytes;
        shared_behind_ |= static_cast<bool>(queue_[i].share);
    }
    queue_ = std::move(left);
}

void Session::spill_inflight() {
    RowId first = 0;
    for (std::size_t i = 0; i < inflight_.size(); ++i) {
        QueueEntry& entry = inflight_[i].entry;
        if (inflight_[i].state != State::published || !entry.message || entry.row == 0) continue;
        if (first == 0 || entry.row < first) first = entry.row;
        shared_behind_ |= static_cast<bool>(entry.share);
        const std::size_t bytes = bytes_of(entry);
        inflight_bytes_ -= bytes;
        ++inflight_unloaded_;
        inflight_unloaded_bytes_ += bytes;
        ++behind_messages_;
        behind_bytes_ += bytes;
        entry.message = {};
    }
    if (first != 0) newest_row_in_memory_ = first - 1;
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
    const bool beyond_window = queue_.size() >= bounds().window_messages ||
                               queue_bytes_ + bytes > std::max(bounds().window_bytes, bytes);
    if (durable() && (behind_messages_ > 0 || loading_ || beyond_window || to_store_only)) {
        ++behind_messages_;
        behind_bytes_ += bytes;
        shared_behind_ |= static_cast<bool>(entry.share);
        offered_since_load_ = true;
        return;
    }
    if (entry.row != 0) newest_row_in_memory_ = entry.row;
    queue_bytes_ += bytes;
    queue_.push_back(std::move(entry));
}

bool Session::drop_if_stale(const QueueEntry& entry, Now now, Effects& effects) {
    const bool too_old =
        bounds().age_max.count() > 0 && age_of(entry.message->received(), now.wall) > bounds().age_max;
    if (!too_old && !entry.message->expired(now.wall)) return false;  // [MQTT-3.3.2-5]
    effects.drops.push_back({DropReason::expired, entry.row});
    settle(entry.row, effects);
    return true;
}

void Session::want_load_if_low(Effects& effects) const {
    const bool low =
        queue_.size() <= bounds().window_messages / 2 && queue_bytes_ <= bounds().window_bytes / 2;
    if (behind_messages_ > 0 && !loading_ && (low || queue_.empty())) effects.load_wanted = true;
}

void Session::load_posted() {
    loading_ = true;
    oldest_behind_ = {};
    offered_since_load_ = false;
}

}  // namespace sluice::core
