// QoS 2 from persistent sessions comes exactly once, also when the process is killed, and so do wills and
// what an ended session leaves to other shards. The packet id is recorded as received when all shards have
// made their part durable; until then each part is noted in the batch that appends it (core::NoteArrival).
// After a restart the notes tell who is left out when the client repeats the message; with the record, or the
// end of the id, they go.
#include <algorithm>
#include <utility>

#include "base/hash.hpp"
#include "shard/connection.hpp"
#include "shard/shard.hpp"
#include "store/crc32c.hpp"

namespace sluice::shard {

using core::SubscriberId;
using wire::PacketId;

namespace {

/// "$bridge/plant/0" of "$bridge/plant/0/1": after a restart with another number of shards the message may
/// enter on the shard of another lane of the same route.
std::string_view route_of(const Slot& s) {
    if (!s.client_id.starts_with(bridge_session_prefix)) return {};
    return std::string_view(s.client_id).substr(0, s.client_id.rfind('/'));
}

std::uint32_t content_of(const core::Message& message) {
    return store::crc32c_of(stable_hash(message.topic()), message.payload());
}

Origin* new_origin(core::SessionKey publisher, PacketId packet_id, const core::Message& message) {
    auto* origin = new Origin;
    origin->publisher = publisher;
    origin->packet_id = packet_id;
    origin->content = content_of(message);
    return origin;
}

/// Among the groups of a note: the message has been retained. A newer one may have taken its place.
constexpr std::string_view retained_mark = "$retained";

void drop_if_empty(std::unique_ptr<HalfReceived>& half) {
    if (half && half->open.empty() && half->arrived.empty() && half->exchanges.empty()) half.reset();
}

}  // namespace

bool Shard::has_it(const Slot& s, const Origin& origin) {
    const std::string_view route = route_of(s);
    return route.empty() ? origin.reached(s.session->key()) : origin.reached(route);
}

void Shard::note_arrival(const Slot& s, const core::Share& share, core::RowId row, Passage& passage) {
    // With one shard the packet id is recorded in the same batch.
    if (is_only_shard()) return;
    if (passage.origin->acknowledged) {
        // It changes its queue in one batch, or a restart would hand it on once more.
        if (passage.origin->handed_row != 0)
            batch_.emplace_back(core::SettleMessage{passage.origin->publisher, passage.origin->handed_row});
        return;
    }
    if (!passage.note) {
        passage.note = std::make_unique<core::NoteArrival>();
        passage.note->publisher = passage.origin->publisher;
        passage.note->packet_id = passage.origin->packet_id;
        passage.note->content = passage.origin->content;
        passage.note->row = row;
    }
    const std::string_view route = route_of(s);
    if (share) {
        passage.note->groups.push_back(share);
    } else if (!route.empty()) {
        passage.note->groups.emplace_back(route);
    } else {
        passage.note->sessions.push_back(s.session->key());
    }
}

void Shard::retain_once(const core::MessagePtr& message, const OriginPtr& origin) {
    if (origin && origin->reached(retained_mark)) return;
    retain(message);
    if (!origin || is_only_shard()) return;
    core::NoteArrival note;
    note.publisher = origin->publisher;
    note.packet_id = origin->packet_id;
    note.content = origin->content;
    note.row = ++row_counter_ * 256 + index_;
    note.groups.emplace_back(retained_mark);
    batch_.emplace_back(std::move(note));
}

void Shard::end_passage(Passage& passage) {
    close_row(passage);
    if (passage.note) batch_.emplace_back(std::move(*passage.note));
    passage.note.reset();
}

std::unordered_map<PacketId, OriginPtr> origins_of(const std::vector<core::NoteArrival>& arrivals) {
    std::unordered_map<PacketId, Origin*> made;
    std::unordered_map<PacketId, OriginPtr> origins;
    for (const core::NoteArrival& note : arrivals) {
        Origin*& origin = made[note.packet_id];
        if (!origin) {
            origin = new Origin;
            origin->publisher = note.publisher;
            origin->packet_id = note.packet_id;
            origin->content = note.content;
            origins.emplace(note.packet_id, OriginPtr(origin));
        }
        origin->sessions.insert(origin->sessions.end(), note.sessions.begin(), note.sessions.end());
        origin->groups.insert(origin->groups.end(), note.groups.begin(), note.groups.end());
    }
    for (const auto& [id, origin] : made) std::sort(origin->sessions.begin(), origin->sessions.end());
    return origins;
}

void Shard::restore_arrivals(Slot& s, const store::RecoveredSession& recovered) {
    if (recovered.arrivals.empty()) return;
    s.half_received = std::make_unique<HalfReceived>();
    s.half_received->arrived = origins_of(recovered.arrivals);
}

bool Shard::has_arrivals(SubscriberId id, PacketId packet_id) const {
    const Slot& s = slots_[id];
    return s.half_received && s.half_received->arrived.contains(packet_id);
}

OriginPtr Shard::origin_of(SubscriberId id, PacketId packet_id, const core::Message& message, bool dup) {
    Slot& s = slots_[id];
    const bool arrivals = has_arrivals(id, packet_id);
    if (!s.session->durable() || (is_only_shard() && !arrivals)) return {};
    Origin* const origin = new_origin(s.session->key(), packet_id, message);
    OriginPtr owner(origin);
    if (arrivals) {
        const OriginPtr& before = s.half_received->arrived.at(packet_id);
        if (dup && before->content == origin->content) {
            origin->sessions = before->sessions;
            origin->groups = before->groups;
        } else {
            // The client has given up what it sent under this id before; this is another message.
            forget_arrivals(id, packet_id);
            if (is_only_shard()) return {};
        }
    }
    if (groups_.empty()) return owner;
    origin->exchange = core::ExchangePtr(new core::Exchange);
    if (!s.half_received) s.half_received = std::make_unique<HalfReceived>();
    s.half_received->exchanges.insert_or_assign(packet_id, origin->exchange);
    return owner;
}

void HalfReceived::end_exchange(PacketId packet_id, std::vector<core::ExchangePtr>& over) {
    auto ended = exchanges.extract(packet_id);
    if (!ended.empty()) over.push_back(std::move(ended.mapped()));
}

void HalfReceived::end_exchanges(std::vector<core::ExchangePtr>& over) {
    for (auto& [packet_id, exchange] : std::exchange(exchanges, {})) over.push_back(std::move(exchange));
}

OriginPtr make_origin(core::SessionKey publisher, PacketId packet_id, const core::Message& message) {
    return OriginPtr(new_origin(publisher, packet_id, message));
}

void Shard::forget_arrivals(SubscriberId id, PacketId packet_id) {
    Slot& s = slots_[id];
    // With one shard there are none but those from before a restart.
    if (!s.session->durable() || (is_only_shard() && !has_arrivals(id, packet_id))) return;
    batch_.emplace_back(core::ForgetArrivals{s.session->key(), packet_id});
    if (!s.half_received) return;
    s.half_received->end_exchange(packet_id, exchanges_over_);
    s.half_received->arrived.erase(packet_id);
    drop_if_empty(s.half_received);
}

void Shard::leave_refused(SubscriberId id, PacketId packet_id, wire::ReasonCode code) {
    Slot& s = slots_[id];
    if (!s.half_received) s.half_received = std::make_unique<HalfReceived>();
    s.half_received->open.insert_or_assign(packet_id, HalfReceived::Open{.code = code});
}

void Shard::leave_open(SubscriberId id, PacketId packet_id, TicketId ticket) {
    Slot& s = slots_[id];
    if (!s.half_received) s.half_received = std::make_unique<HalfReceived>();
    const std::uint64_t cookie = ++errand_counter_;
    errands_.emplace(cookie, OpenPublish{s.session->key(), packet_id});
    s.half_received->open.insert_or_assign(packet_id, HalfReceived::Open{ticket, cookie});
    tickets_.hand_over(ticket, *this, cookie);
}

bool Shard::is_open(SubscriberId id, PacketId packet_id) const {
    const Slot& s = slots_[id];
    return s.half_received && s.half_received->open.contains(packet_id);
}

HalfReceived::Open Shard::take_open(SubscriberId id, PacketId packet_id) {
    Slot& s = slots_[id];
    const auto open = s.half_received->open.extract(packet_id).mapped();
    errands_.erase(open.cookie);
    drop_if_empty(s.half_received);
    return open;
}

void Shard::on_left_open(const OpenPublish& publish, const TicketAnswer& answer) {
    const auto found = by_key_.find(publish.publisher);
    if (found == by_key_.end()) return;  // the session has ended
    const SubscriberId id = found->second;
    Slot& s = slots_[id];
    if (is_error(answer.code)) {
        // It stays refused until the client asks again.
        auto& open = s.half_received->open.at(publish.packet_id);
        open = {.ticket = 0, .cookie = 0, .code = answer.code};
        forget_arrivals(id, publish.packet_id);
        return;
    }
    (void)take_open(id, publish.packet_id);
    const bool is_new = record_inbound(id, publish.packet_id);
    if (is_new && s.link && !s.lane)
        static_cast<Connection*>(s.link.get())->note_inbound_before(publish.packet_id);
}

bool Shard::record_inbound(SubscriberId id, PacketId packet_id) {
    const bool is_new = slots_[id].session->on_publish_qos2(packet_id);
    save_progress(id);
    forget_arrivals(id, packet_id);
    return is_new;
}

}  // namespace sluice::shard
