// Lanes: the links of connectors. A lane's session is like any other; its link is a thread's, not a socket's.
#include "shard/shard.hpp"

namespace sluice::shard {

using core::SubscriberId;

namespace {

constexpr auto lane_tick = Millis(50);

}  // namespace

SubscriberId Shard::lane_slot(LinkNumber number) const {
    const auto it = lanes_.find(number);
    return it == lanes_.end() ? UINT32_MAX : it->second;
}

void Shard::open_mail(mail::AddLink& letter) {
    LinkSpec& spec = *letter.spec;
    const core::BoundsPtr bounds = core::share_bounds(spec.bounds);
    core::SubscriberId id = find_client(spec.client_id);
    if (id == UINT32_MAX) id = make_slot(spec.client_id, next_session_key(), bounds);
    Slot& s = slots_[id];
    // What of the one before it the new lane goes on with.
    auto lane = std::make_unique<LaneSlot>();
    if (s.lane) {
        if (spec.ack_upstream) lane->waiting.swap(s.lane->waiting);
        if (spec.last_value && s.lane->last_value) lane->newest.swap(s.lane->newest);
        lane->forgotten.swap(s.lane->forgotten);
        lane->dropped_up_to = s.lane->dropped_up_to;
    }
    take_lane_away(id);
    s.expiry_interval_s = never_expires;
    s.session->set_bounds(bounds);
    s.lane = std::move(lane);
    s.lane->number = spec.number;
    s.lane->accepts = std::move(spec.accepts);
    s.lane->ack_upstream = spec.ack_upstream;
    s.lane->after_commit = spec.after_commit;
    s.lane->last_value = spec.last_value;
    lanes_[spec.number] = id;
    save_session(id);
    // The route may have been changed since its spool was written: what it no longer asks for must not come
    // any more.
    std::vector<std::string> stale;
    for (const auto& [filter, options] : s.subscriptions) stale.push_back(filter);
    for (const LinkSpec::Wanted& wanted : spec.subscriptions) {
        std::erase(stale, wanted.filter);
        subscribe(id, wanted.filter, wanted.options);
    }
    for (const std::string& filter : stale) unsubscribe(id, filter);
    s.link = spec.make(*this);
    mark_dirty(id);
    arm_lane_tick();
}

void Shard::take_lane_away(core::SubscriberId id) {
    Slot& s = slots_[id];
    if (!s.lane) return;
    depart(id, Departure::shutdown);
    // As when the upstream does not confirm in time: the message stays in the spool.
    for (const auto& [row, wait] : s.lane->waiting)
        answer_soon(wait.ticket, wire::ReasonCode::implementation_specific_error);
    lanes_.erase(s.lane->number);
    s.lane.reset();
}

void Shard::open_mail(mail::RemoveLink& letter) {
    const core::SubscriberId id = lane_slot(letter.number);
    if (id != UINT32_MAX) take_lane_away(id);
}

void Shard::open_mail(mail::Note& letter) {
    const core::SubscriberId id = lane_slot(letter.number);
    if (id != UINT32_MAX && slots_[id].link) slots_[id].link->on_note(std::move(letter.note));
}

void Shard::arm_lane_tick() {
    if (lane_tick_armed_ || lanes_.empty()) return;
    lane_tick_armed_ = true;
    lane_timer_.expires_after(lane_tick);
    lane_timer_.async_wait([this](const boost::system::error_code& error) {
        lane_tick_armed_ = false;
        if (error) return;
        tick_lanes();
        arm_lane_tick();
    });
}

void Shard::tick_lanes() {
    for (const auto& [number, id] : lanes_) {
        Slot& s = slots_[id];
        if (!s.link) continue;
        s.link->on_tick(now());
        mark_dirty(id);
        if (!s.lane->ack_upstream) continue;
        // A publisher does not wait for an upstream for ever; the message itself stays in the spool.
        std::erase_if(s.lane->waiting, [this](const auto& row_and_wait) {
            if (now().mono - row_and_wait.second.since < parts_.limits.upstream_ack_timeout) return false;
            answer_soon(row_and_wait.second.ticket, wire::ReasonCode::implementation_specific_error);
            return true;
        });
    }
}

void Shard::attach_link(LinkNumber number, std::uint16_t quota) {
    const SubscriberId id = lane_slot(number);
    if (id == UINT32_MAX) return;
    slots_[id].lane->newest = {};  // what is there is on its way now
    core::Effects& effects = begin_step();
    slots_[id].session->attach(quota, now(), effects, core::Session::Repeats::not_told);
    execute(id, effects);
    mark_dirty(id);
}

void Shard::detach_link(LinkNumber number) {
    const SubscriberId id = lane_slot(number);
    if (id == UINT32_MAX) return;
    slots_[id].session->detach();
    if (slots_[id].lane->last_value) slots_[id].session->spill();  // see replace_older()
    if (slots_[id].shares > 0) refresh_member(id);
}

void Shard::confirm(LinkNumber number, wire::PacketId packet_id) {
    const SubscriberId id = lane_slot(number);
    if (id == UINT32_MAX) return;
    core::Effects& effects = begin_step();
    (void)slots_[id].session->on_puback(packet_id, now(),
                                        effects);  // unknown: confirmed twice, which is harmless
    execute(id, effects);
    mark_dirty(id);
}

}  // namespace sluice::shard
