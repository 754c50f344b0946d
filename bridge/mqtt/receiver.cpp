#include "bridge/mqtt/receiver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "bridge/mqtt/publish.hpp"
#include "wire/decode.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge::mqtt {
namespace {

using std::chrono::milliseconds;

/// How often a filter that the server refuses is asked for again.
constexpr Backoff::Limits refused_limits{milliseconds(5'000), milliseconds(300'000)};

/// A line per minute for what may happen with every message.
void warn_sparsely(log::RateLimit& limit, const std::string& line) {
    std::uint64_t suppressed = 0;
    const auto now = std::chrono::duration_cast<milliseconds>(Steady::now().time_since_epoch());
    if (limit.allow(now.count(), suppressed)) log::warn(fmt::format("{} held_back={}", line, suppressed));
}

bool is_shared(const std::string& filter) {
    return !wire::parse_share(filter).group.empty();
}

}  // namespace

Receiver::Receiver(std::string bridge_name, std::vector<DownRoute> routes, std::uint32_t inflight_max)
    : bridge_name_(std::move(bridge_name)),
      routes_(std::move(routes)),
      inflight_max_(std::max<std::uint32_t>(inflight_max, 1)),
      subscriptions_(routes_.size()),
      refused_backoff_(backoff_seed(bridge_name_), refused_limits) {}

std::uint16_t Receiver::receive_maximum() const {
    if (!has_routes()) return 0;
    return static_cast<std::uint16_t>(std::min<std::uint32_t>(inflight_max_, 65'535));
}

void Receiver::begin(Connection& connection, std::size_t server, Worker& worker) {
    open_.clear();
    open_ids_.clear();
    incoming_.clear();
    held_back_.clear();
    unsettled_ = 0;
    unsettled_bytes_ = 0;
    first_token_ = next_token_;
    ask_again_at_ = Steady::time_point::max();
    // Before version 5 each SUBSCRIBE brings all retained messages once more [MQTT-3.8.4-3], so a session
    // that has our subscriptions is left as it is.
    const bool same_server = std::exchange(server_, server) == server;
    const bool has_them =
        same_server && connection.version() != wire::Version::v5 && connection.limits().session_present;
    for (std::size_t row = 0; row < routes_.size(); ++row) {
        Subscription& subscription = subscriptions_[row];
        subscription.granted = subscription.granted && has_them;
        subscription.answered = subscription.granted;
        if (!subscription.granted) subscribe(row, connection);
    }
    if (has_routes()) tell_source(worker);
}

void Receiver::subscribe(std::size_t row, Connection& connection) {
    const DownRoute& route = routes_[row];
    wire::Subscribe packet{.packet_id = static_cast<wire::PacketId>(publish_id_max + 1 + row)};
    packet.entries.push_back({.filter = route.filter,
                              .qos = route.qos,
                              .no_local = !is_shared(route.filter),  // [MQTT-3.8.3-4]
                              .retain_as_published = true,
                              .retain_handling = wire::RetainHandling::send_if_new});
    ByteBuffer bytes;
    wire::encode_subscribe(bytes, connection.version(), packet);
    connection.send(bytes);
    subscriptions_[row].answered = false;
}

void Receiver::on_suback(const wire::Frame& frame, Connection& connection, Worker& worker) {
    const auto suback = wire::decode_suback(connection.version(), frame.body);
    if (!suback || suback->codes.size() != 1)
        return connection.break_off(fmt::format("the server sent a bad SUBACK: {}",
                                                suback ? "one code expected" : suback.error().what));
    const std::size_t row = static_cast<std::size_t>(suback->packet_id) - publish_id_max - 1;
    if (suback->packet_id <= publish_id_max || row >= routes_.size()) return;
    Subscription& subscription = subscriptions_[row];
    const wire::ReasonCode code = suback->codes.front();
    subscription.answered = true;
    subscription.granted = !wire::is_error(code);
    subscription.problem = subscription.granted
                               ? std::string()
                               : fmt::format("the server refuses the subscription to '{}': {}",
                                             routes_[row].filter, to_text(code));
    if (subscription.granted && static_cast<std::uint8_t>(code) < static_cast<std::uint8_t>(routes_[row].qos))
        log::warn(
            fmt::format("mqtt: the server grants a lower QoS than asked for; what comes may be lost "
                        "bridge={} filter={} qos={}",
                        bridge_name_, routes_[row].filter, static_cast<int>(code)));
    tell_source(worker);
}

void Receiver::tell_source(Worker& worker) {
    const auto& all = subscriptions_;
    if (!std::all_of(all.begin(), all.end(), [](const Subscription& one) { return one.answered; })) return;
    const auto refused =
        std::find_if(all.begin(), all.end(), [](const Subscription& one) { return !one.granted; });
    if (refused != all.end()) {
        ask_again_at_ = Steady::now() + refused_backoff_.next();
    } else {
        refused_backoff_.reset();
    }
    worker.source(refused != all.end() ? refused->problem : std::string());
}

std::size_t Receiver::row_of(std::string_view topic) const {
    for (std::size_t row = 0; row < routes_.size(); ++row)
        if (wire::filter_matches(wire::parse_share(routes_[row].filter).filter, topic)) return row;
    return routes_.size();
}

/// What is unsettled may wait for room on the disk that only the acknowledgements of what went up can make:
/// for them a little is taken each second.
bool Receiver::wants_more(bool up_waits) {
    if (closing_ || unsettled_bytes_ < down_bytes_max) return true;
    const auto now = Steady::now();
    if (!up_waits || now < next_sip_) return false;
    next_sip_ = now + std::chrono::seconds(1);
    return true;
}

void Receiver::on_publish(const wire::Frame& frame, Connection& connection) {
    if (closing_) return;  // not acknowledged: it comes again
    ByteBuffer scratch;
    const auto publish = wire::decode_publish(connection.version(), frame.flags, frame.body, scratch);
    if (!publish)
        return connection.break_off(fmt::format("the server sent a bad PUBLISH: {}", publish.error().what));
    if (publish->topic.empty()) return connection.break_off("the server used a topic alias unasked");
    if (publish->qos == wire::QoS::exactly_once)
        return connection.break_off("the server sent a PUBLISH of QoS 2; at most 1 was asked for");
    const bool confirmed = publish->qos == wire::QoS::at_least_once;
    if (!confirmed && open_.size() >= inflight_max_) {
        static log::RateLimit limit(60'000);
        return warn_sparsely(limit,
                             fmt::format("mqtt: a message of QoS 0 from the server is dropped, since {} "
                                         "are not settled bridge={}",
                                         inflight_max_, bridge_name_));
    }
    // Servers of version 3.1.1 may send again on the same connection what is still open.
    if (confirmed && !open_ids_.insert(publish->packet_id).second) return;
    open_.push_back({.packet_id = publish->packet_id});
    const std::uint64_t token = next_token_++;
    const std::size_t row = row_of(publish->topic);
    if (row == routes_.size()) {
        static log::RateLimit limit(60'000);
        warn_sparsely(limit,
                      fmt::format("mqtt: a message that no [[bridge.down]] row matches is thrown away; "
                                  "the server still has an older subscription (clean_start removes it) "
                                  "bridge={} topic={}",
                                  bridge_name_, publish->topic));
        open_.back().settled = true;
        return acknowledge(connection);
    }
    Incoming incoming = to_incoming(*publish);
    incoming.route = static_cast<std::uint32_t>(row);
    incoming.token = token;
    incoming.retain = incoming.retain && routes_[row].keep_retain;
    open_.back().bytes = frame.body.size();
    unsettled_bytes_ += open_.back().bytes;
    hand_on(std::move(incoming));
}

/// Version 3.1.1 has no Receive Maximum for us to say.
void Receiver::hand_on(Incoming incoming) {
    if (unsettled_ >= inflight_max_) return held_back_.push_back(std::move(incoming));
    ++unsettled_;
    incoming_.push_back(std::move(incoming));
}

bool Receiver::settle(const std::vector<Settled>& settled, Connection& connection) {
    bool any = false;
    for (const Settled& one : settled) {
        if (one.token < first_token_ || one.token - first_token_ >= open_.size()) continue;
        Open& open = open_[one.token - first_token_];
        if (open.settled) continue;
        open.settled = any = true;
        unsettled_bytes_ -= open.bytes;
        open.kept = one.kept;
        --unsettled_;
    }
    if (any) acknowledge(connection);
    return any;
}

void Receiver::acknowledge(Connection& connection) {
    ByteBuffer packets;
    while (!open_.empty() && open_.front().settled) {
        const Open& open = open_.front();
        // A receiver can only say that it does not want the message; the server then forgets it as well.
        if (open.packet_id != 0)
            wire::encode_ack(packets, connection.version(), wire::PacketType::puback,
                             {.packet_id = open.packet_id,
                              .code = open.kept ? wire::ReasonCode::success
                                                : wire::ReasonCode::implementation_specific_error});
        open_ids_.erase(open.packet_id);
        open_.pop_front();
        ++first_token_;
    }
    connection.send(packets);
}

void Receiver::work(Worker& worker, Connection& connection) {
    while (!held_back_.empty() && unsettled_ < inflight_max_) {
        ++unsettled_;
        incoming_.push_back(std::move(held_back_.front()));
        held_back_.pop_front();
    }
    worker.incoming(std::exchange(incoming_, {}));
    if (Steady::now() < ask_again_at_) return;
    ask_again_at_ = Steady::time_point::max();
    for (std::size_t row = 0; row < routes_.size(); ++row)
        if (!subscriptions_[row].granted) subscribe(row, connection);
}

}  // namespace sluice::bridge::mqtt
