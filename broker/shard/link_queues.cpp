// What links do with queues beyond being served from their own: dead letters, and only the last value of a
// topic; and what comes from upstreams.
#include <algorithm>

#include "base/hash.hpp"
#include "shard/shard.hpp"

namespace sluice::shard {

using core::SubscriberId;
using wire::QoS;

namespace {

constexpr std::size_t newest_topics_max = 100'000;
// Of one read: bounded by what an answer to an operator may hold in memory.
constexpr std::size_t read_messages = 100;
constexpr std::size_t read_bytes = 1U << 20;

}  // namespace

void Shard::refuse(LinkNumber number, wire::PacketId packet_id) {
    const SubscriberId id = lane_slot(number);
    if (id == UINT32_MAX) return;
    Slot& s = slots_[id];
    core::Effects& effects = begin_step();
    if (!s.session->on_puback(packet_id, now(), effects)) {
        execute(id, effects);
        return;
    }
    for (const core::SettleMessage& settled : effects.settled) {
        const auto it = s.lane->waiting.find(settled.row);
        if (it == s.lane->waiting.end()) continue;
        answer_soon(it->second.ticket, wire::ReasonCode::implementation_specific_error);
        s.lane->waiting.erase(it);
    }
    execute(id, effects);
    mark_dirty(id);
}

bool Shard::give(LinkNumber to, const core::MessagePtr& message) {
    const SubscriberId id = lane_slot(to);
    if (id == UINT32_MAX) return false;
    Slot& s = slots_[id];
    const core::RowId row = ++row_counter_ * 256 + index_;
    core::QueueEntry entry{.row = row, .message = message, .qos = QoS::at_least_once};
    core::Effects& effects = begin_step();
    const auto offered = s.session->offer(std::move(entry), effects,
                                          s.session->attached() ? memory_room() : core::MemoryRoom::tight);
    const bool taken = offered == core::Session::Offered::sent;
    if (taken) {
        batch_.emplace_back(core::AppendMessage{
            row, message, {{.session = s.session->key(), .qos = QoS::at_least_once, .retain = false}}});
        s.last_row = row;
    }
    execute(id, effects);
    mark_dirty(id);
    return taken;
}

void Shard::read_queue(LinkNumber number, core::RowId after) {
    if (lane_slot(number) != UINT32_MAX) link_reads_.wanted.emplace_back(number, after);
}

void Shard::post_reads() {
    for (const auto& [number, after] : std::exchange(link_reads_.wanted, {})) {
        const SubscriberId id = lane_slot(number);
        if (id == UINT32_MAX) continue;
        const core::SessionKey key = slots_[id].session->key();
        link_reads_.under_way.emplace_back(key, number);
        parts_.store->post_load_queue(index_, key, after, read_messages, read_bytes);
    }
}

/// True when a link had asked for it; that one may have gone since, and another be in its place.
bool Shard::take_link_read(mail::QueueLoaded& letter) {
    auto& reads = link_reads_.under_way;
    const auto asked = std::find_if(reads.begin(), reads.end(),
                                    [&](const auto& one) { return one.first == letter.session; });
    if (asked == reads.end()) return false;
    const SubscriberId id = lane_slot(asked->second);
    reads.erase(asked);
    if (id == UINT32_MAX) return true;
    slots_[id].link->on_read(std::move(letter.entries), letter.exhausted);
    mark_dirty(id);
    return true;
}

void Shard::forget(LinkNumber number, const core::QueueEntry& entry) {
    const SubscriberId id = lane_slot(number);
    if (id == UINT32_MAX || entry.row <= slots_[id].lane->dropped_up_to) return;
    core::Effects& effects = begin_step();
    slots_[id].forget(entry.row, core::bytes_of(entry), effects);
    execute(id, effects);
    mark_dirty(id);
}

/// While nobody is there to take them, all that comes is left to the store (offer_to), so that an older one
/// can be taken out of the queue by its row alone.
void Shard::replace_older(Slot& s, const core::Message& message, core::RowId row) {
    const std::uint64_t topic = stable_hash(message.topic());
    const LaneSlot::Newest newest{row, message.body().size()};
    auto it = s.lane->newest.find(topic);
    if (it == s.lane->newest.end()) {
        if (s.lane->newest.size() < newest_topics_max) s.lane->newest.emplace(topic, newest);
        return;
    }
    const LaneSlot::Newest older = std::exchange(it->second, newest);
    if (older.row <= s.lane->dropped_up_to) return;
    s.forget(older.row, older.bytes, effects_);
    s.link->on_replaced();
}

void Shard::open_mail(mail::Brought& letter) {
    for (const BroughtMessage& brought : letter.messages) {
        const std::uint64_t cookie = ++errand_counter_;
        errands_.emplace(cookie, BroughtRow{letter.sink, brought.token});
        const TicketId ticket = tickets_.open(*this, cookie);
        publish(brought.message, ticket);
        tickets_.answer(ticket, wire::ReasonCode::success, false);
    }
}

void Shard::open_mail(mail::LinkSessions& letter) {
    using Task = LinkSessionErrand::Task;
    std::vector<LinkSessionErrand::Found> found;
    for (SubscriberId id = 0; id < slots_.size(); ++id) {
        Slot& s = slots_[id];
        if (!s.session || s.lane || !s.client_id.starts_with(letter.errand->prefix)) continue;
        found.push_back({s.client_id, s.session->backlog_messages(), s.session->backlog_bytes()});
        if (letter.errand->task == Task::retire) {
            std::vector<std::string> filters;
            for (const auto& [filter, options] : s.subscriptions) filters.push_back(filter);
            for (const std::string& filter : filters) unsubscribe(id, filter);
        } else if (letter.errand->task == Task::end) {
            discard_session(id);
        }
    }
    if (letter.errand->answer) letter.errand->answer(std::move(found));
}

}  // namespace sluice::shard
