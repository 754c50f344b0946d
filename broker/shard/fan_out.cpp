// The way of a message through a shard: retained, matched, offered to each session, passed to the other
// shards.
#include <algorithm>
#include <optional>

#include "shard/loss_log.hpp"
#include "shard/mail_cost.hpp"
#include "shard/shard.hpp"

namespace sluice::shard {

using core::DropReason;
using wire::QoS;
using wire::ReasonCode;

namespace {

// Mail waiting for a shard above which QoS 0 is let go rather than piled up; QoS 1 and 2 are held back by
// their acknowledgements.
constexpr std::size_t mail_high_mark = 50'000;

bool adds_message(const core::LedgerEntry& entry) {
    return std::holds_alternative<core::AppendMessage>(entry) ||
           std::holds_alternative<core::SetRetained>(entry);
}

}  // namespace

bool Shard::publish(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin) {
    owner_.check();
    const std::size_t before = batch_.size();
    if (message->retain()) retain_once(message, origin);
    route(message, ticket, origin);
    if (ticket != 0 && batch_.size() > before) hold_until_commit(ticket);
    if (!store_holds_back()) return true;
    // What others keep of it is not known here.
    return peers_.size() == 1 &&
           std::none_of(batch_.begin() + static_cast<std::ptrdiff_t>(before), batch_.end(), adds_message);
}

void Shard::route(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin) {
    Passage passage{.message = message, .local_ticket = ticket, .entered_here = true, .origin = origin.get()};
    fan_out(passage);
    if (!groups_.empty()) share_out(passage);
    end_passage(passage);
    if (peers_.size() > 1) send_to_peers(message, ticket, origin);
    if (ticket != 0) tickets_.note(ticket, passage.worst, passage.matched);
}

void Shard::send_to_peers(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin) {
    // Retained first, then this look: who subscribes meanwhile finds the message in one way or the other.
    const TopicMarks marks(message->topic());
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        if (i == index_) continue;
        if (share_orders_[i].empty() && !peers_[i].interest->may_want(marks)) continue;
        if (message->qos() == QoS::at_most_once && peers_[i].mailbox->depth() > mail_high_mark) {
            counters_.mail_drops.add();
            share_orders_[i].clear();
            continue;
        }
        if (ticket != 0) tickets_.add_waits(ticket, 1);
        outgoing_[i].emplace_back(mail::Deliver{message,
                                                ticket == 0 ? TicketRef{} : TicketRef{index_, ticket},
                                                std::exchange(share_orders_[i], {}), origin});
        MailCost::mine().note_sent();
    }
}

void Shard::retain(const core::MessagePtr& message) {
    using Change = core::RetainedIndex::Change;
    // What the broker says of itself is told anew after a restart, and wears no flash until then.
    if (message->topic().starts_with(sys_prefix)) {
        parts_.retained->keep(message);
        return;
    }
    if (!may_retain(*message)) {
        counters_.rejected.add();
        log_not_retained("limits.memory_max is reached", now().mono);
        return;
    }
    core::RetainedSequence sequence = 0;
    switch (parts_.retained->set(message, index_, sequence)) {
        case Change::stored:
        case Change::replaced:
            batch_.emplace_back(core::SetRetained{message, sequence});
            retained_changed_ = true;
            break;
        case Change::cleared:
        case Change::nothing_to_clear:  // what was there may still be on its way off the disk
            batch_.emplace_back(core::ClearRetained{std::string(message->topic()), sequence});
            retained_changed_ = true;
            break;
        case Change::refused_full:
            counters_.rejected.add();
            log_not_retained("limits.retained_messages_max is reached", now().mono);
            break;
    }
}

bool Shard::may_retain(const core::Message& message) {
    const std::size_t bytes = message.footprint_bytes();
    if (message.payload().empty() || may_keep(bytes, Keep::retained)) return true;
    // A new value of a topic that is there: to refuse it would leave the old one.
    constexpr std::size_t growth_fair = 16;
    const core::MessagePtr old = parts_.retained->find(message.topic());
    if (!old) return false;
    const std::size_t bytes_old = old->footprint_bytes();
    return bytes <= bytes_old + growth_fair || may_keep(bytes - bytes_old, Keep::retained_instead);
}

void Shard::collect_matches(const core::MessagePtr& message) {
    matches_.clear();
    tree_.match(message->topic(), [this](core::SubscriberId id, const core::SubscriptionOptions& options) {
        matches_.push_back({id, options});
    });
    // One client is served once, with the highest QoS of all its matching subscriptions [MQTT-3.3.4-2].
    if (matches_.size() > 1) {
        std::stable_sort(matches_.begin(), matches_.end(),
                         [](const Match& a, const Match& b) { return a.id < b.id; });
    }
}

void Shard::fan_out(Passage& passage) {
    const core::MessagePtr& message = passage.message;
    const std::uint64_t grown_before = memory_gauge::grown_here();
    collect_matches(message);
    std::vector<std::uint32_t> identifiers;
    for (std::size_t i = 0; i < matches_.size();) {
        const core::SubscriberId id = matches_[i].id;
        const Slot& s = slots_[id];
        Match best{id, {}};
        bool wanted = false;
        identifiers.clear();
        for (; i < matches_.size() && matches_[i].id == id; ++i) {
            const core::SubscriptionOptions& options = matches_[i].options;
            if (options.local_only && !passage.entered_here) continue;
            if (options.no_local && message->client_id() == s.client_id) continue;  // [MQTT-3.8.3-3]
            if (!wanted || options.qos > best.options.qos) {
                const bool as_published = wanted && best.options.retain_as_published;
                best.options = options;
                best.options.retain_as_published |= as_published;
            }
            if (options.identifier != 0) identifiers.push_back(options.identifier);  // [MQTT-3.3.4-3, -4]
            wanted = true;
        }
        if (!wanted) continue;
        passage.matched = true;
        if (passage.origin && has_it(s, *passage.origin)) continue;
        if (takes(id, *message)) offer_to(best, identifiers, {}, passage);
    }
    if (!passage.entered_here) MailCost::mine().note_opened(memory_gauge::grown_here() - grown_before);
}

bool Shard::takes(core::SubscriberId id, const core::Message& message) const {
    const Slot& s = slots_[id];
    if (s.lane) return !s.lane->accepts || s.lane->accepts(message);
    // Its lane is not there yet: rights are for clients, and what is left out now would be missing.
    if (s.client_id.starts_with(bridge_session_prefix)) return true;
    return may(auth::Action::deliver, s, message.topic());
}

void Shard::close_row(Passage& passage) {
    if (passage.append_index < 0) return;
    passage.append_index = -1;
    ++row_counter_;
}

void Shard::offer_to(const Match& match, const std::vector<std::uint32_t>& identifiers,
                     const core::Share& share, Passage& passage) {
    const core::MessagePtr& message = passage.message;
    Slot& s = slots_[match.id];
    if (s.retained) {
        const auto older = s.retained->take_topic(message->topic());  // [MQTT-4.6.0-6]
        if (!older.empty()) close_row(passage);                       // they need rows of their own
        for (const RetainedRun::Due& due : older) offer_retained(match.id, due.message, due.wanted);
    }
    core::QueueEntry entry;
    entry.message = message;
    entry.qos = match.options.at_least_once ? QoS::at_least_once
                                            : std::min(message->qos(), match.options.qos);  // [MQTT-3.8.4-8]
    entry.retain = match.options.retain_as_published && message->retain();  // [MQTT-3.3.1-12, -13]
    entry.subscription_identifiers = identifiers;
    entry.share = share;
    const bool durable = s.session->durable() && entry.qos != QoS::at_most_once;
    const core::RowId row = (row_counter_ + 1) * 256 + index_;
    std::optional<core::QueueTarget> target;
    if (durable) {
        entry.row = row;
        target = {s.session->key(), entry.qos, entry.retain, identifiers, share};
    } else if (share && entry.qos != QoS::at_most_once && passage.origin && !passage.origin->acknowledged) {
        entry.exchange = passage.origin->exchange;
    }

    core::Effects& effects = begin_step();
    const auto offered = s.session->offer(
        std::move(entry), effects,
        s.lane && s.lane->only_newest(*s.session) ? core::MemoryRoom::tight : memory_room(),
        passage.acknowledged ? core::Session::Refusal::none : core::Session::Refusal::allowed);
    if (offered == core::Session::Offered::rejected) {
        passage.worst = std::max(passage.worst, ReasonCode::quota_exceeded);
        counters_.rejected.add();
        log_rejected(s.client_id, now().mono);
    }
    if (target && offered == core::Session::Offered::sent) {
        // Before the effects: what is settled at once must have been appended first.
        if (passage.append_index < 0) {
            passage.append_index = static_cast<std::ptrdiff_t>(batch_.size());
            batch_.emplace_back(core::AppendMessage{row, message, {}});
        }
        std::get<core::AppendMessage>(batch_[static_cast<std::size_t>(passage.append_index)])
            .targets.push_back(std::move(*target));
        if (passage.origin) note_arrival(s, share, row, passage);
        s.last_row = row;
        if (s.lane && s.lane->only_newest(*s.session)) replace_older(s, *message, row);
        if (s.lane && s.lane->ack_upstream && passage.local_ticket != 0) {
            tickets_.add_waits(passage.local_ticket, 1);
            s.lane->waiting.insert_or_assign(row, LaneSlot::Waiting{passage.local_ticket, now().mono});
        }
    }
    execute(match.id, effects);
    if (s.lane) mark_dirty(match.id);
}

core::Effects& Shard::begin_step() {
    CHECK(!step_open_);
    step_open_ = true;
    effects_.clear();
    return effects_;
}

void Shard::execute(core::SubscriberId id, core::Effects& effects) {
    Slot& s = slots_[id];
    for (const core::SettleMessage& settled : effects.settled) batch_.emplace_back(settled);
    if (effects.progress_changed) save_progress(id);
    if (s.shares > 0) refresh_member(id);
    if (effects.load_wanted) {
        s.session->load_posted();
        loads_.push_back(id);
        loads_due_ = true;
    } else if (effects.oldest_wanted) {
        s.session->oldest_posted();
        oldest_asked_.push_back(id);
    }
    for (const core::Drop& drop : effects.drops) {
        note_drop(s, drop.reason);
        if (!s.lane) continue;
        s.lane->dropped_up_to = std::max(s.lane->dropped_up_to, drop.row);
        if (s.link) s.link->on_drop(drop.reason);
    }
    if (s.lane && s.lane->ack_upstream) take_upstream_waits(s, effects);
    std::vector<core::Send> sends;
    sends.swap(effects.sends);
    step_open_ = false;

    send_all(id, sends);
    settle_unsendable();
    if (effects_.sends.capacity() == 0) {
        sends.clear();
        effects_.sends.swap(sends);  // keep the memory for the next step
    }
}

void Shard::send_all(core::SubscriberId id, std::vector<core::Send>& sends) {
    Slot& s = slots_[id];
    std::vector<core::Send> gated;
    const bool all_after_commit = s.lane && s.lane->after_commit;
    for (core::Send& send : sends) {
        // What waits for the disk must not be overtaken by what was published after it, whatever its QoS.
        const bool behind = (s.gated > 0 || !gated.empty()) && send.qos != QoS::at_most_once;
        if (send.after_commit || all_after_commit || behind) {
            gated.push_back(std::move(send));
        } else {
            deliver(id, send);
        }
    }
    if (gated.empty()) return;
    // The row of a message that is under way is written at the end of its passage, into this turn's batch.
    const bool of_this_turn = in_commit() || (all_after_commit && gated.back().row / 256 > rows_posted_);
    const bool must_wait = of_this_turn || s.gated > 0 || (all_after_commit && committed_turn_ < turn_);
    ++s.gated;
    // The link may be another one by then: what is in flight is repeated for that one anyway.
    auto run = [this, id, generation = s.generation, waiting = std::move(gated)] {
        if (slots_[id].generation != generation) return;
        --slots_[id].gated;
        for (const core::Send& send : waiting) deliver(id, send);
        settle_unsendable();
    };
    if (must_wait) {
        // Not in a commit of its own: behind the last one, for which the others wait as well.
        deferred_.push_back({of_this_turn ? next_turn() : turn_, std::move(run)});
    } else {
        run();
    }
}

void Shard::tell_when_recorded(core::SubscriberId id, std::uint64_t mark) {
    deferred_.push_back({next_turn(), [this, id, generation = slots_[id].generation, mark] {
                             if (slots_[id].generation != generation) return;
                             core::Effects& effects = begin_step();
                             slots_[id].session->on_recorded(mark, now(), effects);
                             execute(id, effects);
                         }});
}

void Shard::note_drop(const Slot& s, DropReason reason) {
    counters_.drops[static_cast<std::size_t>(reason)].add();
    log_drop(reason, s.client_id, now().mono);
}

void Shard::deliver(core::SubscriberId id, const core::Send& send) {
    Slot& s = slots_[id];
    if (!s.link) return;
    switch (s.link->deliver(send)) {
        case Link::Delivered::taken:
            mark_dirty(id);
            if (!send.message) break;
            counters_.publishes_sent[static_cast<std::size_t>(send.qos)].add();
            counters_.publish_bytes_sent.add(send.message->payload().size());
            break;
        case Link::Delivered::congested:
            note_drop(s, DropReason::congested_qos0);
            break;
        case Link::Delivered::no_memory:
            note_drop(s, DropReason::memory);
            break;
        case Link::Delivered::too_large: {
            if (send.packet_id == 0) {
                note_drop(s, DropReason::too_large);
                break;
            }
            unsendable_.emplace_back(id, send.packet_id);
            break;
        }
    }
}

void Shard::settle_unsendable() {
    if (settling_unsendable_) return;
    settling_unsendable_ = true;
    while (!unsendable_.empty()) {
        const auto [id, packet_id] = unsendable_.front();
        unsendable_.pop_front();
        core::Effects& effects = begin_step();
        slots_[id].session->on_unsendable(packet_id, now(), effects);
        execute(id, effects);
    }
    settling_unsendable_ = false;
}

void Shard::take_upstream_waits(Slot& s, const core::Effects& effects) {
    for (const core::SettleMessage& settled : effects.settled) {
        const auto it = s.lane->waiting.find(settled.row);
        if (it == s.lane->waiting.end()) continue;
        const bool dropped = std::any_of(effects.drops.begin(), effects.drops.end(),
                                         [&](const core::Drop& drop) { return drop.row == settled.row; });
        answer_soon(it->second.ticket, dropped ? ReasonCode::quota_exceeded : ReasonCode::success);
        s.lane->waiting.erase(it);
    }
}

bool Shard::may(auth::Action action, const Slot& s, std::string_view topic) const {
    return parts_.authorizer->allows(action, s.user_name, s.client_id, topic);
}

}  // namespace sluice::shard
