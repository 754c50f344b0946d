#include "bridge/amqp1/receivers.hpp"

#include <fmt/format.h>
#include <proton/session.h>
#include <proton/terminus.h>

#include <algorithm>

#include "base/log.hpp"

namespace sluice::bridge::amqp1 {
namespace {

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

log::RateLimit rejected_lines{10'000};

}  // namespace

Receivers::Receivers(std::string bridge_name, std::vector<Amqp1Down> routes, std::uint32_t inflight_max,
                     std::uint64_t seed)
    : bridge_name_(std::move(bridge_name)) {
    const auto count = static_cast<std::uint32_t>(routes.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        routes[i].credit = std::min(routes[i].credit, std::max(1U, inflight_max / count));
        sources_.emplace_back(std::move(routes[i]), i, seed + i);
    }
}

void Receivers::start(pn_session_t* session) {
    reset();
    session_ = session;
    // What stays with Proton while there is no room: the server stops when that is full. Of each link one
    // that is not whole must fit, or it would never be.
    std::size_t waiting_bytes_max = down_bytes_max;
    for (const Source& source : sources_) waiting_bytes_max += source.settings.message_bytes_max;
    pn_session_set_incoming_capacity(session_, waiting_bytes_max);
    for (Source& source : sources_) open(source);
}

void Receivers::reset() {
    session_ = nullptr;
    unsettled_.clear();
    unsettled_bytes_ = 0;
    incoming_.clear();
    for (Source& source : sources_) {
        source.link = nullptr;
        source.opened = false;
        source.unsettled = 0;
        source.problem.clear();
    }
}

void Receivers::open(Source& source) {
    source.link = pn_receiver(session_, fmt::format("sluice-down-{}", next_link_++).c_str());
    source.opened = false;
    pn_link_set_context(source.link, &source);
    pn_terminus_set_address(pn_link_source(source.link), source.settings.address.c_str());
    pn_link_set_snd_settle_mode(source.link, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(source.link, PN_RCV_FIRST);
    pn_link_set_max_message_size(source.link, source.settings.message_bytes_max);
    pn_link_open(source.link);
    top_up(source);
}

/// Not for every message: a flow frame is as large as a small message.
void Receivers::top_up(Source& source) const {
    if (!has_room()) return;
    const int missing =
        static_cast<int>(source.settings.credit) - source.unsettled - pn_link_credit(source.link);
    if (missing > 0 && missing >= static_cast<int>(source.settings.credit + 3) / 4)
        pn_link_flow(source.link, missing);
}

void Receivers::tend() {
    const auto now = Steady::now();
    for (Source& source : sources_) {
        if (source.link) {
            take_waiting(source);
            top_up(source);
        } else if (now >= source.retry_at) {
            open(source);
        }
    }
}

/// A refused one is opened too, without a source, and closed right after.
void Receivers::on_link_opened(pn_link_t* link) {
    auto* source = static_cast<Source*>(pn_link_get_context(link));
    if (!source || pn_terminus_get_type(pn_link_remote_source(link)) == PN_UNSPECIFIED) return;
    source->opened = true;
    source->problem.clear();
}

void Receivers::on_link_closed(pn_link_t* link) {
    auto* source = static_cast<Source*>(pn_link_get_context(link));
    if (!source || source->link != link) return;
    const std::string text = condition_text(pn_link_remote_condition(link));
    source->problem = fmt::format("the server closed the link from '{}'{}{}", source->settings.address,
                                  text.empty() ? "" : ": ", text);
    std::erase_if(unsettled_, [&](const auto& entry) {
        if (entry.second.source != source) return false;
        unsettled_bytes_ -= entry.second.bytes;
        return true;
    });
    std::erase_if(incoming_, [&](const Incoming& incoming) { return incoming.route == source->route; });
    pn_link_set_context(link, nullptr);
    pn_link_close(link);
    pn_link_free(link);
    source->link = nullptr;
    source->opened = false;
    source->unsettled = 0;
    source->retry_at = Steady::now() + source->backoff.next();
}

void Receivers::on_delivery(pn_delivery_t* delivery) {
    pn_link_t* link = pn_delivery_link(delivery);
    auto* source = static_cast<Source*>(pn_link_get_context(link));
    if (!source || !pn_delivery_current(delivery)) return;
    if (pn_delivery_aborted(delivery)) {
        pn_link_advance(link);
        return pn_delivery_settle(delivery);
    }
    if (pn_delivery_pending(delivery) > source->settings.message_bytes_max)
        return reject(*source, delivery, "amqp:link:message-size-exceeded",
                      fmt::format("it has more than {} bytes", source->settings.message_bytes_max));
    if (!pn_delivery_partial(delivery) && has_room()) take(*source, delivery);
}

void Receivers::take_waiting(Source& source) {
    while (has_room()) {
        pn_delivery_t* delivery = pn_link_current(source.link);
        if (!delivery || pn_delivery_partial(delivery)) return;
        on_delivery(delivery);
    }
}

void Receivers::take(Source& source, pn_delivery_t* delivery) {
    bytes_.resize(pn_delivery_pending(delivery));
    const ssize_t got = pn_link_recv(source.link, bytes_.data(), bytes_.size());
    bytes_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    auto decoded = decoder_.decode(bytes_, source.settings.address, wall_now());
    if (!decoded) return reject(source, delivery, "amqp:decode-error", decoded.error());
    pn_link_advance(source.link);
    source.backoff.reset();
    Incoming& incoming = incoming_.emplace_back(std::move(decoded).value());
    incoming.route = source.route;
    incoming.token = next_token_++;
    unsettled_[incoming.token] = {delivery, &source, bytes_.size()};
    unsettled_bytes_ += bytes_.size();
    ++source.unsettled;
}

void Receivers::reject(Source& source, pn_delivery_t* delivery, const char* condition,
                       const std::string& why) {
    std::uint64_t suppressed = 0;
    const auto now = std::chrono::duration_cast<Millis>(Steady::now().time_since_epoch());
    if (rejected_lines.allow(now.count(), suppressed))
        log::warn(fmt::format("amqp1: message rejected bridge={} address=\"{}\" reason=\"{}\" suppressed={}",
                              bridge_name_, source.settings.address, why, suppressed));
    pn_condition_t* said = pn_disposition_condition(pn_delivery_local(delivery));
    pn_condition_set_name(said, condition);
    pn_condition_set_description(said, why.c_str());
    pn_link_advance(source.link);
    pn_delivery_update(delivery, PN_REJECTED);
    pn_delivery_settle(delivery);
}

void Receivers::settle(const std::vector<Settled>& settled) {
    for (const Settled& one : settled) {
        const auto found = unsettled_.find(one.token);
        if (found == unsettled_.end()) continue;  // of a link that is gone
        const auto [delivery, source, bytes] = found->second;
        if (!one.kept) {
            pn_condition_t* said = pn_disposition_condition(pn_delivery_local(delivery));
            pn_condition_set_name(said, "sluice:unusable");
            pn_condition_set_description(said, one.reason.c_str());
        }
        pn_delivery_update(delivery, one.kept ? PN_ACCEPTED : PN_REJECTED);
        pn_delivery_settle(delivery);
        --source->unsettled;
        unsettled_bytes_ -= bytes;
        unsettled_.erase(found);
    }
}

std::string Receivers::problem() const {
    for (const Source& source : sources_)
        if (!source.problem.empty()) return source.problem;
    return {};
}

bool Receivers::settled_down() const {
    return std::all_of(sources_.begin(), sources_.end(),
                       [](const Source& source) { return source.opened || !source.problem.empty(); });
}

bool Receivers::opening() const {
    return std::any_of(sources_.begin(), sources_.end(),
                       [](const Source& source) { return source.link && !source.opened; });
}

Steady::time_point Receivers::wake_at() const {
    const auto now = Steady::now();
    auto earliest = Steady::time_point::max();
    for (const Source& source : sources_)
        if (!source.link && source.retry_at > now) earliest = std::min(earliest, source.retry_at);
    return earliest;
}

}  // namespace sluice::bridge::amqp1
