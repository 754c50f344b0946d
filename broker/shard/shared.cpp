// Shared subscriptions [MQTT5 4.8.2]. All shards know what members of a group each of them has; the shard
// that a message enters on picks the shard, and that shard picks the member.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "shard/shard.hpp"
#include "wire/topic.hpp"

namespace sluice::shard {

using core::SharedGroups;
using core::SubscriberId;
using wire::ReasonCode;

namespace {

bool is_shared(std::string_view filter) {
    return !wire::parse_share(filter).group.empty();
}

core::Readiness readiness_of(const core::Session& session) {
    if (session.has_send_quota()) return core::Readiness::ready;
    if (session.full()) return core::Readiness::full;
    return session.attached() ? core::Readiness::busy : core::Readiness::away;
}

}  // namespace

bool Shard::put_subscription(SubscriberId id, std::string_view filter,
                             const core::SubscriptionOptions& options) {
    if (!is_shared(filter)) {
        const bool added = tree_.subscribe(filter, id, options);
        if (added) interest_.add(filter);
        return added;
    }
    Slot& s = slots_[id];
    const bool is_new = groups_.join(filter, id, options, readiness_of(*s.session));
    if (is_new) ++s.shares;
    return is_new;
}

bool Shard::take_subscription(SubscriberId id, std::string_view filter) {
    if (!is_shared(filter)) {
        const bool existed = tree_.unsubscribe(filter, id);
        if (existed) interest_.remove(filter);
        return existed;
    }
    const bool existed = groups_.leave(filter, id);
    if (existed) --slots_[id].shares;
    return existed;
}

void Shard::leave_all_groups(SubscriberId id) {
    Slot& s = slots_[id];
    for (auto it = s.subscriptions.begin(); s.shares > 0 && it != s.subscriptions.end(); ++it) {
        if (is_shared(it->first)) take_subscription(id, it->first);
    }
}

void Shard::refresh_member(SubscriberId id) {
    groups_.set_readiness(id, readiness_of(*slots_[id].session));
}

void Shard::announce_groups(TicketId ticket) {
    for (const SharedGroups::News& news : groups_.take_news()) {
        for (std::size_t i = 0; i < peers_.size(); ++i) {
            if (i == index_) continue;
            if (ticket != 0) tickets_.add_waits(ticket, 1);
            outgoing_[i].emplace_back(
                mail::GroupNews{index_, news, ticket == 0 ? TicketRef{} : TicketRef{index_, ticket}});
        }
    }
}

void Shard::tell_restored() {
    // A first turn: for what restore() has to save, and before a will that is due already the shards know
    // each other's groups.
    boost::asio::post(context_, [this] { catch_up_with_mail(); });
    announce_groups(0);
    for (std::size_t i = 0; i < outgoing_.size(); ++i) peers_[i].mailbox->post_all(outgoing_[i]);
}

void Shard::open_mail(mail::GroupNews& letter) {
    groups_.set_standing(letter.news.share.view(), letter.shard, letter.news.standing);
    if (letter.ticket)
        outgoing_[letter.ticket.shard].emplace_back(
            mail::Answer{letter.ticket.ticket, ReasonCode::success, false});
}

void Shard::share_out(Passage& passage) {
    group_matches_.clear();
    groups_.match(passage.message->topic(),
                  [this](SharedGroups::GroupId group) { group_matches_.push_back(group); });
    for (const SharedGroups::GroupId group : group_matches_) {
        const core::Share& share = groups_.share_of(group);
        if (passage.origin && passage.origin->reached(share.view())) {
            passage.matched = true;
        } else {
            place_share({.share = share}, passage);
        }
    }
}

void Shard::place_share(mail::ShareOrder order, Passage& passage) {
    while (const auto shard = groups_.pick_shard(groups_.find(order.share.view()), order.tried)) {
        if (*shard != index_) {
            share_orders_[*shard].push_back(std::move(order));
            return;
        }
        if (give_to_member(order.share, passage)) return;
        order.tried.push_back(index_);
    }
}

bool Shard::give_to_member(const core::Share& share, Passage& passage) {
    const auto member = groups_.pick_member(
        groups_.find(share.view()),
        [&](const SharedGroups::Member& candidate) { return takes(candidate.subscriber, *passage.message); });
    if (!member) return false;
    // A session has one copy per row: a second one, by another subscription, gets a row of its own.
    const core::RowId row = (row_counter_ + 1) * 256 + index_;
    if (slots_[member->subscriber].last_row == row) close_row(passage);
    std::vector<std::uint32_t> identifiers;
    if (member->options.identifier != 0) identifiers.push_back(member->options.identifier);
    passage.matched = true;
    offer_to({member->subscriber, member->options}, identifiers, share, passage);
    return true;
}

void Shard::accept_shares(mail::Deliver& letter, Passage& passage) {
    for (mail::ShareOrder& order : letter.shares) {
        // Members may have come, gone, or fallen behind while the message was on its way. Once is enough, or
        // it might be sent to and fro.
        const bool stays = order.sent_on || !groups_.is_better_elsewhere(groups_.find(order.share.view()));
        order.sent_on = true;
        if (stays && give_to_member(order.share, passage)) continue;
        if (stays) order.tried.push_back(index_);
        place_share(std::move(order), passage);
    }
}

bool Shard::any_share_orders() const {
    return std::any_of(share_orders_.begin(), share_orders_.end(),
                       [](const auto& orders) { return !orders.empty(); });
}

void Shard::send_share_orders(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin) {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        if (share_orders_[i].empty()) continue;
        if (ticket != 0) tickets_.add_waits(ticket, 1);
        outgoing_[i].emplace_back(
            mail::DeliverShares{{message, ticket == 0 ? TicketRef{} : TicketRef{index_, ticket},
                                 std::exchange(share_orders_[i], {}), origin}});
    }
}

void Shard::pass_on(const mail::Deliver& letter, const Passage& passage, bool wrote_ledger) {
    if (!letter.ticket) return send_share_orders(letter.message, 0, letter.origin);
    const std::uint64_t cookie = ++errand_counter_;
    errands_.emplace(cookie, letter.ticket);
    const TicketId ticket = tickets_.open(*this, cookie);
    if (wrote_ledger) hold_until_commit(ticket);
    send_share_orders(letter.message, ticket, letter.origin);
    tickets_.answer(ticket, passage.worst, passage.matched);
}

void Shard::on_ticket(std::uint64_t cookie, const TicketAnswer& answer) {
    const auto errand = errands_.extract(cookie).mapped();
    if (const auto* handed = std::get_if<HandedRow>(&errand))
        return on_handed_on(handed->session, handed->row);
    if (const auto* open = std::get_if<OpenPublish>(&errand)) return on_left_open(*open, answer);
    if (const auto* will = std::get_if<KeptWill>(&errand)) {
        batch_.emplace_back(core::RemoveSession{will->keeper});
        return;
    }
    if (const auto* brought = std::get_if<BroughtRow>(&errand))
        return brought->sink->on_brought(brought->token, answer.code);
    const TicketRef& ref = std::get<TicketRef>(errand);
    outgoing_[ref.shard].emplace_back(mail::Answer{ref.ticket, answer.code, answer.matched});
}

}  // namespace sluice::shard
