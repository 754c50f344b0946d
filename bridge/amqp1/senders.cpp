#include "bridge/amqp1/senders.hpp"

#include <fmt/format.h>
#include <proton/session.h>
#include <proton/terminus.h>

#include <algorithm>

#include "bridge/amqp1/proton.hpp"

namespace sluice::bridge::amqp1 {
namespace {

/// RabbitMQ 4 takes 256 links in a session.
constexpr std::size_t links_max = 200;
constexpr std::chrono::seconds link_idle_max{60};
/// An address that a message names is asked for so often at least, while it may still come.
constexpr std::chrono::milliseconds named_by_message_retry{2000};
/// Asking again costs all routes their session.
constexpr std::chrono::minutes barred_for{1};

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

std::optional<BadPlaces::Fault> fault_of(pn_condition_t* condition) {
    const auto name = condition_name(condition);
    if (name == "amqp:not-found") return BadPlaces::Fault::missing;
    if (name == "amqp:unauthorized-access") return BadPlaces::Fault::forbidden;
    return std::nullopt;
}

}  // namespace

Senders::Senders(std::vector<Route> routes, std::string origin, std::uint64_t seed)
    : routes_(std::move(routes)), origin_(std::move(origin)), seed_(seed), lanes_(seed) {}

void Senders::start(pn_session_t* session, const std::string& product) {
    reset();
    session_ = session;
    is_rabbitmq_ = product == "RabbitMQ";
    progress_at_ = Steady::now();
    for (const Route& route : routes_) {
        if (!route.address.is_literal()) continue;
        const auto address = route.address.render(*core::Message::freeze({}));
        if (!address || links_.contains(*address) || links_.size() >= links_max) continue;
        Link& link = *add_link(*address, true);
        if (progress_at_ >= link.retry_at) open_link(link);
    }
    started_links_ = next_link_;
}

void Senders::reset() {
    session_ = nullptr;  // the links were the connection's
    lanes_.clear();
    links_.clear();
    sent_.clear();
    confirms_.clear();
    not_taken_reason_.clear();
}

bool Senders::pump(std::size_t unsent_bytes_max) {
    wants_room_ = false;
    for (auto& [id, lane] : lanes_) {
        pump_lane(lane, unsent_bytes_max);
        if (wants_room_) return true;
    }
    return false;
}

void Senders::pump_lane(LaneQueue& lane, std::size_t unsent_bytes_max) {
    const auto now = Steady::now();
    while (lane.ready(now)) {
        const MessageView view(*lane.front().out.message);
        if (auto rendered = render(lane.front(), view); !rendered) {
            refuse(lane.take(), rendered.error(), Outcome::unmappable);
            continue;
        }
        if (address_.empty()) {
            refuse(lane.take(), "the address is empty");
            continue;
        }
        const bool in_config = routes_.at(lane.front().out.route).address.is_literal();
        if (!in_config && is_given_up(now)) {
            refuse(lane.take(), bad_places_.reason_of(address_));
            continue;
        }
        Link* link = find_link(in_config, now);
        if (!link || !can_send(*link, lane.front(), now)) return;
        if (pn_session_outgoing_bytes(session_) >= unsent_bytes_max) {
            wants_room_ = true;
            return;
        }
        send(*link, lane);
    }
}

Result<void, std::string> Senders::render(const Held& held, const MessageView& view) {
    const Route& route = routes_.at(held.out.route);
    auto rendered = route.address.render(view, address_, route.append_address);
    if (rendered) rendered = route.partition_key.render(view, marks_.partition_key);
    if (rendered) rendered = route.group_id.render(view, marks_.group_id);
    marks_.durable = route.durable;
    return rendered;
}

/// `address_`, that a message has named. Not while there is a link: its end says more.
bool Senders::is_given_up(Steady::time_point now) {
    const auto found = links_.find(address_);
    if (found != links_.end() && (found->second.link || found->second.in_config)) return false;
    const auto advice = bad_places_.before_send(address_, BadPlaces::Named::by_message, now);
    return advice == BadPlaces::Advice::refuse;
}

/// Of `address_`. Null while there are too many links, all of them in use.
Senders::Link* Senders::find_link(bool in_config, Steady::time_point now) {
    const auto found = links_.find(address_);
    Link* link = found != links_.end()                      ? &found->second
                 : links_.size() < links_max || make_room() ? add_link(address_, false)
                                                            : nullptr;
    if (!link) return nullptr;
    link->used_at = now;
    link->in_config |= in_config;
    if (!link->link && now >= link->retry_at) open_link(*link);
    return link;
}

Senders::Link* Senders::add_link(const std::string& address, bool fixed) {
    Link& link = links_.try_emplace(address, seed_ + links_.size()).first->second;
    link.address = address;
    link.fixed = link.in_config = fixed;
    if (const auto barred = barred_.find(address); barred != barred_.end()) {
        link.retry_at = barred->second.until;
        if (Steady::now() < link.retry_at) link.problem = barred->second.reason;
    }
    return &link;
}

/// Closes the one that was not used for the longest time.
bool Senders::make_room() {
    auto oldest = links_.end();
    for (auto at = links_.begin(); at != links_.end(); ++at) {
        if (at->second.fixed || at->second.unsettled > 0) continue;
        if (oldest == links_.end() || at->second.used_at < oldest->second.used_at) oldest = at;
    }
    if (oldest == links_.end()) return false;
    close_link(oldest->second);
    links_.erase(oldest);
    return true;
}

void Senders::sweep() {
    const auto now = Steady::now();
    for (auto at = links_.begin(); at != links_.end();) {
        Link& link = at->second;
        if (link.fixed || link.unsettled > 0 || now - link.used_at < link_idle_max) {
            if (link.fixed && !link.link && now >= link.retry_at) open_link(link);
            ++at;
            continue;
        }
        close_link(link);
        at = links_.erase(at);
    }
}

void Senders::open_link(Link& link) {
    link.number = next_link_++;
    link.link = pn_sender(session_, fmt::format("sluice-up-{}", link.number).c_str());
    link.opened = false;
    pn_link_set_context(link.link, &link);
    pn_terminus_set_address(pn_link_target(link.link), link.address.c_str());
    pn_link_set_snd_settle_mode(link.link, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(link.link, PN_RCV_FIRST);
    pn_link_open(link.link);
}

void Senders::close_link(Link& link) {
    if (!link.link) return;
    pn_link_set_context(link.link, nullptr);
    pn_link_close(link.link);
    pn_link_free(link.link);
    link.link = nullptr;
}

bool Senders::can_send(Link& link, const Held& held, Steady::time_point now) {
    if (link.link && pn_link_credit(link.link) > 0) {
        link.waiting_since.reset();
        if (held.suspect && link.unsettled > 0) link.suspect_waits = true;
        return !link.carries_suspect && (held.suspect ? link.unsettled == 0 : !link.suspect_waits);
    }
    if (!link.waiting_since) link.waiting_since = now;
    return false;
}

void Senders::send(Link& link, LaneQueue& lane) {
    Held held = lane.take();
    const MessageView view(*held.out.message);
    const auto bytes = encoder_.encode(view, wall_now(), {origin_, held.out.sequence}, marks_);
    if (bytes.empty()) return refuse(held, "the message cannot be encoded");
    const std::uint64_t most = pn_link_remote_max_message_size(link.link);
    if (most != 0 && bytes.size() > most)
        return refuse(held, fmt::format("the message has {} bytes with its properties, '{}' takes at most {}",
                                        bytes.size(), link.address, most));
    if (sent_.empty()) progress_at_ = Steady::now();
    const std::uint64_t tag = next_tag_++;
    pn_delivery_t* delivery =
        pn_delivery(link.link, pn_dtag(reinterpret_cast<const char*>(&tag), sizeof tag));
    Sent& sent = sent_.emplace_back();
    sent.self = std::prev(sent_.end());
    sent.link = &link;
    sent.held = std::move(held);
    ++link.unsettled;
    if (sent.held.suspect) {
        link.carries_suspect = true;
        link.suspect_waits = false;
    }
    pn_delivery_set_context(delivery, &sent);
    pn_link_send(link.link, bytes.data(), bytes.size());
    pn_link_advance(link.link);
}

void Senders::refuse(const Held& held, std::string reason, Outcome outcome) {
    lanes_.of(held).finished(held);
    confirms_.push_back({held.out.lane, held.out.tag, outcome, std::move(reason)});
}

void Senders::on_link_opened(pn_link_t* link) {
    auto* ours = static_cast<Link*>(pn_link_get_context(link));
    if (!ours || pn_terminus_get_type(pn_link_remote_target(link)) == PN_UNSPECIFIED) return;
    ours->opened = true;
    ours->problem.clear();
}

void Senders::on_link_closed(pn_link_t* link) {
    auto* ours = static_cast<Link*>(pn_link_get_context(link));
    if (!ours || ours->link != link) return;
    pn_condition_t* condition = pn_link_remote_condition(link);
    const std::string text = condition_text(condition);
    ours->problem =
        fmt::format("the server closed the link to '{}'{}{}", ours->address, text.empty() ? "" : ": ", text);
    const auto fault = fault_of(condition);
    void_deliveries(*ours, condition_name(condition) == "amqp:link:message-size-exceeded");
    close_link(*ours);
    const auto now = Steady::now();
    auto pause = ours->backoff.next();
    if (fault && !ours->in_config) {
        pause = std::min(pause, named_by_message_retry);
        const auto verdict =
            bad_places_.note(ours->address, BadPlaces::Named::by_message, *fault, ours->problem, now);
        if (verdict == BadPlaces::Verdict::refuse) {  // nobody waits for it
            ours->problem.clear();
            ours->waiting_since.reset();
        }
    }
    ours->retry_at = now + pause;
}

/// Links are answered in the order of their opening: it is the first without an answer. Those of start() are
/// older than any receiver's. An address that messages name gets no time: each attempt costs a session.
bool Senders::blame(pn_condition_t* condition, bool others_opening) {
    if (!fault_of(condition)) return false;
    Link* first = nullptr;
    for (auto& [address, link] : links_)
        if (link.link && !link.opened && (!first || link.number < first->number)) first = &link;
    if (!first || (others_opening && first->number >= started_links_)) return false;
    const auto now = Steady::now();
    std::string reason = fmt::format("the server ended the session because of '{}': {}", first->address,
                                     condition_text(condition));
    if (first->in_config) {
        barred_[first->address] = {std::move(reason), now + barred_for};
    } else {
        bad_places_.note(first->address, BadPlaces::Named::by_message, BadPlaces::Fault::forbidden,
                         std::move(reason), now);
    }
    return true;
}

/// What was under way on a link that is gone. The one that was too large is known when it was alone; else
/// all that were on the way come again one by one.
void Senders::void_deliveries(Link& link, bool too_large) {
    const bool alone = link.unsettled == 1;
    for (pn_delivery_t* at = pn_unsettled_head(link.link); at; at = pn_unsettled_next(at)) {
        auto* sent = static_cast<Sent*>(pn_delivery_get_context(at));
        pn_delivery_set_context(at, nullptr);
        if (!sent) continue;
        if (too_large && alone) {
            refuse(sent->held, link.problem);
            link.problem.clear();
            forget(*sent);
        } else {
            sent->held.suspect = too_large;
            put_back(*sent, {});
        }
    }
}

void Senders::on_delivery(pn_delivery_t* delivery) {
    auto* sent = static_cast<Sent*>(pn_delivery_get_context(delivery));
    if (!sent || !pn_delivery_updated(delivery)) return;
    const std::uint64_t state = pn_delivery_remote_state(delivery);
    const bool has_outcome =
        state == PN_ACCEPTED || state == PN_REJECTED || state == PN_RELEASED || state == PN_MODIFIED;
    if (!has_outcome && !pn_delivery_settled(delivery)) return pn_delivery_clear(delivery);
    judge(*sent, delivery);
    pn_delivery_set_context(delivery, nullptr);
    pn_delivery_settle(delivery);
}

void Senders::judge(Sent& sent, pn_delivery_t* delivery) {
    Link& link = *sent.link;
    bad_places_.delivered(link.address);
    progress_ = true;
    progress_at_ = Steady::now();
    pn_disposition_t* outcome = pn_delivery_remote(delivery);
    switch (pn_delivery_remote_state(delivery)) {
        case PN_ACCEPTED:
            link.problem.clear();
            link.backoff.reset();
            not_taken_reason_.clear();
            lanes_.of(sent.held).finished(sent.held);
            confirms_.push_back({sent.held.out.lane, sent.held.out.tag, Outcome::delivered, {}});
            return forget(sent);
        case PN_REJECTED:
            not_taken_reason_.clear();
            return judge_rejected(sent, outcome);
        case PN_MODIFIED:
            if (pn_disposition_is_undeliverable(outcome)) {
                refuse(sent.held,
                       fmt::format("'{}' cannot take it (modified, undeliverable-here)", link.address));
                return forget(sent);
            }
            return put_back(sent, fmt::format("'{}' does not take a message now (modified)", link.address));
        case PN_RELEASED:
            if (is_rabbitmq_) {  // which says so of what no queue takes
                refuse(sent.held, fmt::format("no queue takes what goes to '{}' (released)", link.address));
                return forget(sent);
            }
            return put_back(sent, fmt::format("'{}' does not take a message now (released)", link.address));
        default:
            return put_back(sent, fmt::format("'{}' settled a message without an outcome", link.address));
    }
}

/// Rejected means that the message is wrong; but RabbitMQ rejects what a full queue cannot take, and others
/// when they are busy.
void Senders::judge_rejected(Sent& sent, pn_disposition_t* outcome) {
    pn_condition_t* condition = pn_disposition_condition(outcome);
    const auto name = condition_name(condition);
    const std::string text = condition_text(condition);
    const bool for_now = is_rabbitmq_ || name == "amqp:resource-limit-exceeded" ||
                         name == "com.microsoft:server-busy" || name == "com.microsoft:timeout";
    if (for_now)
        return put_back(sent, fmt::format("'{}' does not take a message now (rejected{}{})",
                                          sent.link->address, text.empty() ? "" : ": ", text));
    refuse(sent.held,
           fmt::format("'{}' rejected it{}{}", sent.link->address, text.empty() ? "" : ": ", text));
    forget(sent);
}

void Senders::put_back(Sent& sent, std::string reason) {
    if (!reason.empty()) not_taken_reason_ = std::move(reason);
    lanes_.of(sent.held).put_back(std::move(sent.held), Steady::now());
    forget(sent);
}

void Senders::forget(Sent& sent) {
    Link& link = *sent.link;
    --link.unsettled;
    if (link.unsettled == 0) link.carries_suspect = false;
    sent_.erase(sent.self);
}

std::string Senders::stall(std::chrono::milliseconds confirm_timeout) const {
    const auto now = Steady::now();
    for (const auto& [address, link] : links_)
        if (!link.problem.empty()) return link.problem;
    if (!not_taken_reason_.empty()) return not_taken_reason_;
    for (const auto& [address, link] : links_)
        if (link.waiting_since && now - *link.waiting_since > confirm_timeout)
            return fmt::format("the server {} for '{}'", link.opened ? "gives no credit" : "opens no link",
                               address);
    if (!sent_.empty() && now - progress_at_ > confirm_timeout)
        return fmt::format("the server has confirmed nothing for {} s", confirm_timeout.count() / 1000);
    return {};
}

Steady::time_point Senders::wake_at() const {
    const auto now = Steady::now();
    auto earliest = lanes_.wake_at(now);
    for (const auto& [address, link] : links_)
        if (!link.link && link.retry_at > now) earliest = std::min(earliest, link.retry_at);
    return earliest;
}

}  // namespace sluice::bridge::amqp1
