// Sessions come and go: expiry, and what the store gave back. How clients come in: admit.cpp.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "shard/connection.hpp"
#include "shard/shard.hpp"

namespace sluice::shard {

using core::SubscriberId;
using wire::ReasonCode;

namespace {

// So many expired retained messages at a time, so that a million of them does not freeze the shard.
constexpr std::size_t retained_per_sweep = 1000;
// Of a queue in memory, however small the budget is.
constexpr std::size_t window_bytes_min = 64 * 1024;

core::WhenFull when_full_of(QueueFull policy) {
    switch (policy) {
        case QueueFull::drop_oldest:
            return core::WhenFull::drop_oldest;
        case QueueFull::drop_newest:
            return core::WhenFull::drop_newest;
        case QueueFull::reject:
            return core::WhenFull::reject;
    }
    return core::WhenFull::drop_oldest;
}

}  // namespace

core::QueueBounds Shard::bounds_of_clients(const SharedParts& parts) {
    const Limits& limits = parts.limits;
    core::QueueBounds bounds;
    bounds.messages_max = limits.queue_messages_max;
    bounds.bytes_max = limits.queue_bytes_max;
    bounds.age_max = limits.queue_age_max;
    bounds.when_full = when_full_of(limits.queue_full);
    // Many sessions may come back at once: a small budget has small windows.
    if (const std::uint64_t budget = limits.memory_max.value_or(0); budget != 0)
        bounds.window_bytes = std::clamp<std::size_t>(budget / 32, window_bytes_min, bounds.window_bytes);
    bounds.window_messages = parts.window_messages;
    return bounds;
}

SubscriberId Shard::find_client(std::string_view client_id) const {
    return by_client_.find(client_id);
}

SubscriberId Shard::make_slot(std::string client_id, core::SessionKey key, core::BoundsPtr bounds) {
    SubscriberId id = 0;
    if (free_slots_.empty()) {
        id = static_cast<SubscriberId>(slots_.size());
        slots_.emplace_back();
    } else {
        id = free_slots_.back();
        free_slots_.pop_back();
    }
    Slot& s = slots_[id];
    s.session.emplace(std::move(bounds), key);
    s.client_id = std::move(client_id);
    ++s.generation;
    by_client_.insert(id);
    if (key != 0) by_key_.emplace(key, id);
    counters_.sessions.add();
    if (s.client_id.starts_with(bridge_session_prefix)) counters_.bridge_sessions.add();
    return id;
}

void Shard::discard_session(SubscriberId id) {
    Slot& s = slots_[id];
    CHECK(!s.link);
    leave_all_groups(id);
    publish_will(id);  // the end of the session ends the will's delay [MQTT-3.1.3-9]
    for (const auto& [filter, options] : s.subscriptions) {
        take_subscription(id, filter);
        count_subscription(filter, false);
    }
    end_queue(id);
    if (s.half_received) s.half_received->end_exchanges(exchanges_over_);
    by_client_.erase(s.client_id);
    if (s.client_id.starts_with(bridge_session_prefix)) counters_.bridge_sessions.sub();
    const auto generation = s.generation + 1;
    const bool link_dirty = s.link_dirty;
    s = Slot{};
    s.generation = generation;
    s.link_dirty = link_dirty;  // it may stand in this turn's list
    free_slots_.push_back(id);
    counters_.sessions.sub();
}

void Shard::set_used(core::SessionKey session_key_max, core::RowId row_max) {
    session_key_counter_ = session_key_max / 256 + 1;
    row_counter_ = rows_posted_ = row_max / 256 + 1;
}

void Shard::restore(const store::RecoveredSession& recovered) {
    const core::SessionRecord& record = recovered.record;
    if (record.client_id.empty()) return record.will ? restore_will(recovered) : restore_leaving(recovered);
    const SubscriberId id = make_slot(record.client_id, record.key, client_bounds_);
    Slot& s = slots_[id];
    s.user_name = record.user_name;
    s.expiry_interval_s = record.expiry_interval_s;
    s.disconnected_at = record.disconnected_at;
    s.session->restore(recovered.progress, recovered.queue_messages, recovered.queue_bytes,
                       recovered.queue_shared, recovered.inflight_bytes);
    for (const core::SaveSubscription& saved : recovered.subscriptions) {
        put_subscription(id, saved.filter, saved.options);
        s.subscriptions.set(saved.filter, saved.options);
        count_subscription(saved.filter, true);
    }
    restore_arrivals(s, recovered);
    if (record.will) s.will.reset(new AdmittedWill{record.will->message, record.will->delay_s});
    count_kept(s);
    if (record.client_id.starts_with(bridge_session_prefix)) return;
    // Whoever was connected when the process ended has lost the connection now, with all that follows from
    // it. The next restart must not begin to count anew.
    if (!s.disconnected_at) {
        s.disconnected_at = now().wall;
        if (s.will || s.expiry_interval_s != never_expires) save_session(id);
    }
    schedule_end_of_session(id, WillAtOnce::no);  // there are more to be restored, who may want it
}

void Shard::save_session(SubscriberId id) {
    const Slot& s = slots_[id];
    core::SessionRecord record;
    record.key = s.session->key();
    record.client_id = s.client_id;
    record.user_name = s.user_name;
    record.expiry_interval_s = s.expiry_interval_s;
    record.disconnected_at = s.disconnected_at;
    if (s.will) record.will = core::StoredWill{s.will->message, s.will->delay_s};
    batch_.emplace_back(core::SaveSession{std::move(record)});
}

void Shard::set_session_expiry(SubscriberId id, std::uint32_t expiry_interval_s) {
    slots_[id].expiry_interval_s = expiry_interval_s;
}

void Shard::depart(SubscriberId id, Departure how) {
    Slot& s = slots_[id];
    if (!s.link) return;
    if (how == Departure::taken_over) s.link->end(ReasonCode::session_taken_over);
    if (how == Departure::shutdown) s.link->end(ReasonCode::server_shutting_down);
    graveyard_.push_back(std::move(s.link));
    ++s.generation;
    s.gated = 0;
    s.retained.reset();
    // What was announced to it and not sent is not to come with DUP.
    if (s.session->detach()) save_progress(id);
    if (s.shares > 0) refresh_member(id);
    if (s.lane) return;
    counters_.connections.sub();
    // Whoever takes over has the place too.
    if (how != Departure::taken_over) parts_.connections->fetch_sub(1, std::memory_order_relaxed);
    if (how == Departure::clean) s.will.reset();
    count_kept(s);
    s.disconnected_at = now().wall;
    if (s.expiry_interval_s == 0) {
        if (how == Departure::taken_over) return;  // session_for decides
        discard_session(id);
        return;
    }
    save_session(id);
    // After a shutdown the restart decides; the record tells it what is due.
    if (how != Departure::taken_over && how != Departure::shutdown)
        schedule_end_of_session(id, WillAtOnce::yes);
}

void Shard::schedule_end_of_session(SubscriberId id, WillAtOnce at_once) {
    const Slot& s = slots_[id];
    if (s.will) {
        const Millis left = time_left(s, std::min(s.will->delay_s, s.expiry_interval_s));
        if (left == Millis(0) && at_once == WillAtOnce::yes) {
            publish_will(id);
        } else {
            add_timer(now().mono + left, TimerKind::will_delay, id);
        }
    }
    if (s.expiry_interval_s != never_expires)
        add_timer(now().mono + time_left(s, s.expiry_interval_s), TimerKind::session_expiry, id);
}

Millis Shard::time_left(const Slot& s, std::uint32_t interval_s) {
    const auto passed = std::max(Millis(0), age_of(*s.disconnected_at, now().wall));
    return std::max(Millis(0), std::chrono::duration_cast<Millis>(std::chrono::seconds(interval_s)) - passed);
}

void Shard::fire(const Timer& timer) {
    if (!is_current(timer)) return;
    Slot& s = slots_[timer.slot];
    switch (static_cast<TimerKind>(timer.kind)) {
        case TimerKind::keep_alive:
            if (s.link) static_cast<Connection*>(s.link.get())->on_keep_alive_due();
            break;
        case TimerKind::publish_rate:
            if (s.link) static_cast<Connection*>(s.link.get())->on_rate_due();
            break;
        case TimerKind::session_expiry:
            if (s.link) break;
            counters_.sessions_expired.add();
            discard_session(timer.slot);
            break;
        case TimerKind::will_delay:
            if (!s.link) publish_will(timer.slot);
            break;
    }
}

void Shard::count_subscription(std::string_view filter, bool is_there) {
    Counter& shared = counters_.shared_subscriptions;
    const bool is_shared = filter.starts_with("$share/");
    if (is_there) {
        counters_.subscriptions.add();
        if (is_shared) shared.add();
    } else {
        counters_.subscriptions.sub();
        if (is_shared) shared.sub();
    }
}

bool Shard::subscribe(SubscriberId id, std::string_view filter, const core::SubscriptionOptions& options) {
    Slot& s = slots_[id];
    const bool is_new = put_subscription(id, filter, options);
    if (is_new) count_subscription(filter, true);
    const auto it = s.subscriptions.find(filter);
    if (it != s.subscriptions.end() && it->second == options) return is_new;
    if (s.subscriptions.set(filter, options)) s.kept.set(s.kept.bytes() + subscription_bytes(filter));
    if (s.session->durable())
        batch_.emplace_back(core::SaveSubscription{s.session->key(), std::string(filter), options});
    return is_new;
}

bool Shard::unsubscribe(SubscriberId id, std::string_view filter) {
    Slot& s = slots_[id];
    if (!take_subscription(id, filter)) return false;
    count_subscription(filter, false);
    if (s.subscriptions.erase(filter)) s.kept.set(s.kept.bytes() - subscription_bytes(filter));
    if (s.session->durable())
        batch_.emplace_back(core::RemoveSubscription{s.session->key(), std::string(filter)});
    return true;
}

void Shard::arm_retained_sweep(Millis after) {
    retained_timer_.expires_after(after);
    retained_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        const auto gone = parts_.retained->expire(now().wall, retained_per_sweep, index_);
        for (const auto& [message, sequence] : gone) {
            // The broker's own are on no disk.
            if (!message->topic().starts_with(sys_prefix))
                batch_.emplace_back(core::ClearRetained{std::string(message->topic()), sequence});
        }
        retained_changed_ |= !gone.empty();
        counters_.retained_expired.add(gone.size());
        arm_retained_sweep(gone.size() < retained_per_sweep ? parts_.retained_sweep : Millis(10));
    });
}

void Shard::stop_all() {
    held_takeovers_.clear();
    hand_on_early();
    // What the sessions that end now leave to others must not wander through all of them.
    for (SubscriberId id = 0; id < slots_.size(); ++id)
        if (slots_[id].session && slots_[id].expiry_interval_s == 0) leave_all_groups(id);
    for (SubscriberId id = 0; id < slots_.size(); ++id) {
        Slot& s = slots_[id];
        if (!s.session) continue;
        const bool durable = s.session->durable() && s.expiry_interval_s > 0;
        // So that a restart repeats with the same packet ids and DUP.
        if (durable) save_progress(id);
        if (s.link) depart(id, Departure::shutdown);
    }
}

}  // namespace sluice::shard
