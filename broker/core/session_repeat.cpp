// What was in flight comes again on a new connection, also after a restart, and what of it was left to the
// store is read back for that.
#include <algorithm>
#include <utility>

#include "core/session.hpp"

namespace sluice::core {

using wire::QoS;

bool Session::all_inflight_loaded() const {
    for (std::size_t i = 0; i < inflight_.size(); ++i) {
        if (inflight_[i].state == State::published && !inflight_[i].entry.message) return false;
    }
    return true;
}

/// The live ones; as they stand, unless a PUBREC came out of the order of the PUBLISHes.
std::vector<std::size_t> Session::inflight_as_sent() const {
    std::vector<std::size_t> live;
    live.reserve(inflight_live_);
    for (std::size_t i = 0; i < inflight_.size(); ++i)
        if (inflight_[i].state != State::done) live.push_back(i);
    const auto earlier = [this](std::size_t a, std::size_t b) {
        return inflight_[a].sent < inflight_[b].sent;
    };
    if (!std::is_sorted(live.begin(), live.end(), earlier)) std::sort(live.begin(), live.end(), earlier);
    return live;
}

void Session::repeat_inflight(Effects& effects) {
    // Same order and same packet ids as the first time: PUBLISHes as they were sent [MQTT-4.4.0-1,
    // MQTT-4.6.0-1], PUBRELs as their PUBRECs came [MQTT-4.6.0-4].
    // They may be more than the Receive Maximum: it became smaller, or some were not sent before a crash. A
    // PUBLISH counts until its PUBCOMP [MQTT-3.3.4-9]. And what was left to the store comes back by and by.
    bool all_before_are_here = true;
    for (const std::size_t i : inflight_as_sent()) {
        Inflight& inflight = inflight_[i];
        if (inflight.state == State::released) {
            if (std::exchange(inflight.held, false)) {
                effects.sends.push_back(
                    {.kind = Send::Kind::pubrel, .after_commit = false, .packet_id = inflight.packet_id()});
            }
            continue;
        }
        all_before_are_here &= static_cast<bool>(inflight.entry.message);
        if (!inflight.held || !all_before_are_here || !has_quota_for_held()) continue;
        unhold(inflight);
        send_publish(inflight, Known::repeated, effects);
    }
}

void Session::on_loaded(std::vector<QueueEntry> entries, bool exhausted, Now now, Effects& effects) {
    loading_ = false;
    for (QueueEntry& entry : entries) {
        if (entry.row <= newest_row_in_memory_ || !entry.message) continue;
        newest_row_in_memory_ = entry.row;
        const std::size_t bytes = bytes_of(entry);
        behind_bytes_ -= std::min(behind_bytes_, bytes);
        Inflight* sent = nullptr;
        for (std::size_t i = 0; resend_after_load_ && i < inflight_.size(); ++i) {
            if (inflight_[i].entry.row == entry.row) sent = &inflight_[i];
        }
        // Answered before it was repeated, and read before that was written.
        if (sent && sent->state != State::published) continue;
        behind_messages_ -= std::min<std::size_t>(behind_messages_, 1);
        if (sent) {
            sent->entry = std::move(entry);
            inflight_bytes_ += bytes;
            --inflight_unloaded_;
            inflight_unloaded_bytes_ -= std::min(inflight_unloaded_bytes_, bytes);
        } else {
            queue_bytes_ += bytes;
            queue_.push_back(std::move(entry));
        }
    }
    if (exhausted && !offered_since_load_) {
        // What was counted but could not be read (damaged rows were set aside) is not waiting any more.
        behind_messages_ = behind_bytes_ = 0;
    }
    if (resend_after_load_) {
        const bool more = !all_inflight_loaded() && behind_messages_ > 0;
        if (!more) give_up_unloaded();
        // Not when it is whole: it may be more than there is memory for, and what is acknowledged makes room.
        if (attached_) repeat_inflight(effects);
        if (more) {
            effects.load_wanted = true;
            return;
        }
    }
    send_waiting(now, effects);
    // Those that leave with their record make room then.
    if (!waits_for_record()) trim(effects);
}

/// All that was in flight and can be read is here.
void Session::give_up_unloaded() {
    for (std::size_t i = 0; i < inflight_.size(); ++i) {
        Inflight& inflight = inflight_[i];
        if (inflight.state != State::published || inflight.entry.message) continue;
        unhold(inflight);
        inflight.state = State::done;
        --inflight_live_;
    }
    inflight_unloaded_bytes_ = inflight_unloaded_ = 0;
    resend_after_load_ = false;
    remove_done();
}

/// An answer to what is still in the store: the receiver had kept it since an earlier connection. Its row
/// stays, so that a load that is on its way does not bring it as another message.
void Session::take_from_store(const Inflight& inflight) {
    if (inflight.state != State::published || inflight.entry.message || inflight_unloaded_ == 0) return;
    --inflight_unloaded_;
    behind_messages_ -= std::min<std::size_t>(behind_messages_, 1);
}

}  // namespace sluice::core
