// What a session that ends leaves of its shared subscriptions goes to other members: QoS 1 messages that were
// sent and not acknowledged, and all that still waited [MQTT5 4.8.2]. A backlog on disk is read back and
// handed on a window at a time; until the last of it is with somebody else, the store keeps the session under
// no client id, so that a restart goes on with it.
#include <algorithm>
#include <iterator>
#include <utility>

#include "shard/shard.hpp"

namespace sluice::shard {

using core::SessionKey;
using core::SubscriberId;

namespace {

constexpr Millis early_handover_interval{20};

}  // namespace

void Shard::end_queue(SubscriberId id) {
    Slot& s = slots_[id];
    const SessionKey key = s.session->key();
    // One that was not posted yet will not be: the slot may belong to another session by then.
    const bool load_unposted = std::erase(loads_, id) > 0;
    std::erase(oldest_asked_, id);
    core::Session::Leftovers left;
    if (!groups_.empty()) left = s.session->give_up();  // else nobody could take any
    if (key == 0) {
        std::move(left.to_others.begin(), left.to_others.end(), std::back_inserter(handovers_.early));
        return hand_on_early();
    }
    by_key_.erase(key);
    if (left.to_others.empty() && !left.behind) {
        batch_.emplace_back(core::RemoveSession{key});
        return;
    }
    Leaving& leaving = handovers_.leaving[key];
    leaving.after = s.session->load_after();
    leaving.in_flight = std::move(left.in_flight_behind);
    std::sort(leaving.in_flight.begin(), leaving.in_flight.end());
    // A window that the session has asked for may still come.
    leaving.foreign_loads = s.session->loading() && !load_unposted ? 1 : 0;
    leaving.exhausted = !left.behind;
    for (core::QueueEntry& entry : left.to_others) hand_on(key, entry);
    if (leaving.waits > 0 || !leaving.exhausted) {
        core::SessionRecord record;
        record.key = key;
        record.disconnected_at = now().wall;
        batch_.emplace_back(core::SaveSession{std::move(record)});
        for (const auto& [filter, options] : s.subscriptions)
            batch_.emplace_back(core::RemoveSubscription{key, filter});
        batch_.emplace_back(s.session->progress());  // tells what QoS 2 must not go to others after a restart
    }
    go_on_leaving(key);
}

/// The other member may have a disk, and killed in between we would know its copy and not yet the publisher's
/// packet id: the repetition would be taken for another message. Until the id is recorded the publisher has
/// no acknowledgement, so a copy that waits is not missed.
void Shard::hand_on_early() {
    const bool at_the_end = static_cast<bool>(closed_);
    for (core::QueueEntry& entry : std::exchange(handovers_.early, {})) {
        if (entry.exchange && !entry.exchange->recorded() && !at_the_end) {
            handovers_.early.push_back(std::move(entry));
        } else {
            hand_on(0, entry);
        }
    }
    if (handovers_.early.empty()) return;
    handover_timer_.expires_after(early_handover_interval);
    handover_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) hand_on_early();
    });
}

void Shard::hand_on(SessionKey from, core::QueueEntry& entry) {
    Passage passage{.message = entry.message, .acknowledged = true};
    if (entry.message->expired(now().wall)) {
        counters_.drops[static_cast<std::size_t>(core::DropReason::expired)].add();
    } else {
        place_share({.share = entry.share}, passage);
        close_row(passage);
    }
    const bool to_another_shard = any_share_orders();
    if (to_another_shard || passage.matched) counters_.handovers.add();
    if (!to_another_shard) {
        if (from != 0) batch_.emplace_back(core::SettleMessage{from, entry.row});
        return;
    }
    auto* origin = new Origin;
    const OriginPtr owner(origin);
    origin->acknowledged = true;
    if (from == 0) return send_share_orders(entry.message, 0, owner);
    // It stays with the ended session until the other shard's part is durable.
    const std::uint64_t cookie = ++errand_counter_;
    errands_.emplace(cookie, HandedRow{from, entry.row});
    ++handovers_.leaving[from].waits;
    const TicketId ticket = tickets_.open(*this, cookie);
    origin->publisher = from;
    origin->handed_row = entry.row;
    send_share_orders(entry.message, ticket, owner);
    tickets_.answer(ticket, wire::ReasonCode::success, false);
}

void Shard::on_handed_on(SessionKey from, core::RowId row) {
    batch_.emplace_back(core::SettleMessage{from, row});
    --handovers_.leaving[from].waits;
    go_on_leaving(from);
}

void Shard::go_on_leaving(SessionKey key) {
    const Leaving& leaving = handovers_.leaving[key];
    if (leaving.waits > 0) return;
    if (!leaving.exhausted) {
        handovers_.loads.push_back(key);
        return;
    }
    batch_.emplace_back(core::RemoveSession{key});
    handovers_.leaving.erase(key);
}

void Shard::post_leaving_loads() {
    const core::QueueBounds& window = client_bounds_->values;
    for (const SessionKey key : handovers_.loads) {
        parts_.store->post_load_queue(index_, key, handovers_.leaving[key].after, window.window_messages,
                                      window.window_bytes);
    }
    handovers_.loads.clear();
}

void Shard::on_leaving_loaded(mail::QueueLoaded& letter) {
    const auto found = handovers_.leaving.find(letter.session);
    if (found == handovers_.leaving.end()) return;
    Leaving& leaving = found->second;
    if (leaving.foreign_loads > 0) {
        --leaving.foreign_loads;
        return;
    }
    for (core::QueueEntry& entry : letter.entries) {
        leaving.after = entry.row;
        const bool was_sent =
            std::binary_search(leaving.in_flight.begin(), leaving.in_flight.end(), entry.row);
        if (!entry.share) continue;
        if (was_sent && entry.qos == wire::QoS::exactly_once) continue;  // [MQTT-4.8.2-5]
        hand_on(letter.session, entry);
    }
    leaving.exhausted = letter.exhausted;
    go_on_leaving(letter.session);
}

void Shard::restore_leaving(const store::RecoveredSession& recovered) {
    const SessionKey key = recovered.record.key;
    Leaving& leaving = handovers_.leaving[key];
    leaving.exhausted = false;
    for (const core::InflightRecord& record : recovered.progress.outbound)
        if (record.row != 0) leaving.in_flight.push_back(record.row);
    std::sort(leaving.in_flight.begin(), leaving.in_flight.end());
    handovers_.loads.push_back(key);
    post_leaving_loads();
}

}  // namespace sluice::shard
