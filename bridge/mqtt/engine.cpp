#include "bridge/mqtt/engine.hpp"

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

/// Bytes that wait for the socket; beyond it messages wait in their lanes.
constexpr std::size_t pending_bytes_max = 256UL * 1024;
/// What an MQTT packet can have [MQTT5 2.1.4].
constexpr std::uint64_t packet_bytes_max = 268'435'455;

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

/// What no further attempt will change. 0x95 to 0x9B stand in no table for PUBACK [MQTT5 3.4.2.1], but
/// servers use them there.
bool is_for_good(wire::ReasonCode code) {
    using wire::ReasonCode;
    return code == ReasonCode::not_authorized || code == ReasonCode::topic_name_invalid ||
           code == ReasonCode::packet_too_large || code == ReasonCode::payload_format_invalid ||
           code == ReasonCode::retain_not_supported || code == ReasonCode::qos_not_supported;
}

}  // namespace

MqttEngine::MqttEngine(ConnectorSpec spec, MqttSettings settings, std::vector<ServerAddress> servers,
                       std::vector<Route> routes, std::vector<DownRoute> down_routes)
    : bridge_name_(std::move(spec.bridge_name)),
      origin_(std::move(spec.origin)),
      settings_(std::move(settings)),
      servers_(std::move(servers)),
      routes_(std::move(routes)),
      receiver_(bridge_name_, std::move(down_routes), spec.down_inflight_max),
      backoff_(backoff_seed(bridge_name_)),
      lanes_(backoff_seed(bridge_name_)) {}

void MqttEngine::run(Worker& worker) {
    while (!worker.stopping()) {
        const bool connected = connect(worker);
        if (connected) serve(worker);
        if (worker.stopping()) {
            if (connected && down_reason_.empty()) drain(worker);
            break;
        }
        // A server that was there is the first to be tried again: it has our session.
        if (!connected) server_ = (server_ + 1) % servers_.size();
        lose(worker);
        if (!worker.pause(backoff_.next())) break;
    }
    connection_.reset();
}

/// What is void is let go now: an outage of hours must not hold its memory.
void MqttEngine::lose(Worker& worker) {
    connection_.reset();
    lanes_.clear();
    sent_.clear();
    written_.clear();
    worker.down(down_reason_);
    if (receiver_.has_routes()) worker.source(down_reason_);
}

Hello MqttEngine::hello() const {
    Hello hello{.client_id = settings_.client_id};
    if (!receiver_.has_routes()) return hello;  // nothing that the server should keep
    hello.clean_start = settings_.clean_start;
    if (!settings_.clean_start)
        hello.session_expiry_s = static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::seconds>(settings_.session_expiry).count());
    hello.receive_maximum = receiver_.receive_maximum();
    return hello;
}

bool MqttEngine::connect(Worker& worker) {
    lanes_.clear();
    sent_.clear();
    written_.clear();
    confirms_.clear();
    down_reason_.clear();
    puback_reason_.clear();
    auto opened = Connection::open(settings_, servers_[server_], hello(), worker);
    if (!opened) {
        down_reason_ = opened.error();
        return false;
    }
    connection_ = std::move(opened).value();
    note_limits();
    return true;
}

void MqttEngine::note_limits() const {
    const ServerLimits& limits = connection_->limits();
    const auto wants = [&](auto&& of_route) { return std::any_of(routes_.begin(), routes_.end(), of_route); };
    if (limits.qos_max == wire::QoS::at_most_once &&
        wants([](const Route& route) { return route.qos > wire::QoS::at_most_once; }))
        log::warn(
            fmt::format("mqtt: the server takes QoS 0 only; messages may be lost with a connection bridge={}",
                        bridge_name_));
    if (!limits.retain_available && wants([](const Route& route) { return route.keep_retain; }))
        log::warn(fmt::format("mqtt: the server has no retained messages; they go without the flag bridge={}",
                              bridge_name_));
}

void MqttEngine::serve(Worker& worker) {
    last_progress_ = Steady::now();
    worker.up();
    worker.take_settled();  // of an earlier connection
    receiver_.begin(*connection_, server_, worker);
    while (!worker.stopping() && service(worker)) {
        lanes_.push(worker.take());
        pump();
        worker.confirm(confirms_);
        worker.retried(lanes_.take_retried());
        show_stall(worker);
        connection_->wait(worker, wait_time());
    }
}

/// False when the connection is lost.
bool MqttEngine::service(Worker& worker) {
    if (receiver_.settle(worker.take_settled(), *connection_)) backoff_.reset();
    const bool alive = connection_->service([&](const wire::Frame& frame) { on_frame(frame, worker); });
    confirm_written();
    receiver_.work(worker, *connection_);
    if (connection_->proved()) backoff_.reset();
    if (!alive) down_reason_ = fmt::format("{}: {}", to_text(servers_[server_]), connection_->problem());
    if (!alive) worker.confirm(confirms_);  // they came before the end
    return alive;
}

/// At the end of life: waits for the acknowledgements of what was sent. What the server still sends is left
/// to it.
void MqttEngine::drain(Worker& worker) {
    receiver_.close();
    while ((!sent_.empty() || !written_.empty()) && Steady::now() < worker.stop_deadline()) {
        connection_->wait(worker, milliseconds(20));
        if (!service(worker)) return;
        worker.confirm(confirms_);
    }
    receiver_.settle(worker.take_settled(), *connection_);
    connection_->close();
}

/// Short enough for pings: they are only looked at when we look.
milliseconds MqttEngine::wait_time() {
    const auto longest = connection_->idle_max();
    const auto now = Steady::now();
    const auto at = lanes_.wake_at(now);
    if (at == Steady::time_point::max()) return longest;
    return std::min(longest, std::chrono::ceil<milliseconds>(at - now));
}

void MqttEngine::on_frame(const wire::Frame& frame, Worker& worker) {
    switch (frame.type) {
        case wire::PacketType::puback:
            return on_puback(frame);
        case wire::PacketType::publish:
            return receiver_.on_publish(frame, *connection_);
        case wire::PacketType::suback:
            return receiver_.on_suback(frame, *connection_, worker);
        default:
            connection_->break_off(
                fmt::format("the server sent a packet of type {} unasked", static_cast<int>(frame.type)));
    }
}

void MqttEngine::pump() {
    while (has_room() && send_one_per_lane()) {
        if (connection_->pending_bytes() >= pending_bytes_max && !connection_->flush()) return;
    }
    connection_->flush();
    confirm_written();
}

bool MqttEngine::has_room() const {
    const std::size_t window = std::min(connection_->limits().receive_maximum, publish_id_max);
    return sent_.size() < window && connection_->pending_bytes() < pending_bytes_max;
}

/// Beginning behind the lane that was served last. False when no lane had anything.
bool MqttEngine::send_one_per_lane() {
    std::vector<std::pair<std::uint32_t, LaneQueue*>> turn;
    for (auto& [id, lane] : lanes_)
        if (lane.ready(Steady::now())) turn.emplace_back(id, &lane);
    const auto first = std::find_if(turn.begin(), turn.end(),
                                    [this](const auto& entry) { return entry.first > last_lane_; });
    std::rotate(turn.begin(), first, turn.end());
    for (const auto& [id, lane] : turn) {
        if (!has_room()) break;
        last_lane_ = id;
        send(lane->take());
    }
    return !turn.empty();
}

void MqttEngine::send(Held held) {
    const MessageView view(*held.out.message);
    const HeaderList headers(view, wall_now(), {origin_, held.out.sequence});
    if (auto rendered = routes_.at(held.out.route).topic.render(view, topic_); !rendered)
        return refuse(held, rendered.error(), Outcome::unmappable);
    auto publish = to_publish(held, headers);
    if (!publish) return refuse(held, publish.error());
    const bool confirmed = publish->qos == wire::QoS::at_least_once;
    if (confirmed) publish->packet_id = next_packet_id();
    ByteBuffer packet;
    wire::encode_publish(packet, connection_->version(), *publish);
    if (packet.size() > connection_->limits().packet_bytes_max)
        return refuse(held, fmt::format("the message makes a packet of {} bytes, the server takes at most {}",
                                        packet.size(), connection_->limits().packet_bytes_max));
    if (sent_.empty()) last_progress_ = Steady::now();
    connection_->send(packet);
    if (confirmed) {
        sent_.emplace(publish->packet_id, std::move(held));
    } else {
        written_.push_back({connection_->written_bytes() + connection_->pending_bytes(), std::move(held)});
    }
}

/// Of what `topic_` has been set for. Borrows from its arguments and from `topic_`.
Result<wire::Publish, std::string> MqttEngine::to_publish(const Held& held, const HeaderList& headers) {
    const Route& route = routes_.at(held.out.route);
    const core::Message& message = *held.out.message;
    const ServerLimits& limits = connection_->limits();
    if (!wire::is_topic_name(topic_))
        return Err{fmt::format("'{}' is no topic name: expected 1 to {} bytes of UTF-8 without '+' and '#'",
                               topic_.substr(0, 200), wire::topic_bytes_max)};
    wire::Publish publish{.topic = topic_, .payload = message.payload()};
    publish.qos = std::min(route.qos, limits.qos_max);
    publish.retain = message.retain() && route.keep_retain && limits.retain_available;
    publish.dup = held.out.redelivery && publish.qos != wire::QoS::at_most_once;  // [MQTT-3.3.1-1, -2]
    if (connection_->version() == wire::Version::v5) publish.properties = publish_properties(headers);
    if (const auto bytes = packet_bytes_bound(topic_, publish.payload, publish.properties);
        bytes > packet_bytes_max)
        return Err{fmt::format("the message makes a packet of {} bytes, at most {} are possible", bytes,
                               packet_bytes_max)};
    return publish;
}

/// There is a free one: sent_ is smaller than their number.
wire::PacketId MqttEngine::next_packet_id() {
    do {
        last_packet_id_ = last_packet_id_ >= publish_id_max
                              ? wire::PacketId{1}
                              : static_cast<wire::PacketId>(last_packet_id_ + 1);
    } while (sent_.contains(last_packet_id_));
    return last_packet_id_;
}

void MqttEngine::refuse(const Held& held, std::string reason, Outcome outcome) {
    lanes_.of(held).finished(held);
    confirms_.push_back({held.out.lane, held.out.tag, outcome, std::move(reason)});
}

void MqttEngine::confirm(const Held& held) {
    lanes_.of(held).finished(held);
    confirms_.push_back({held.out.lane, held.out.tag, Outcome::delivered, {}});
}

/// Read by hand: a code that is not legal in a PUBACK says what it says, and is no reason to break off.
void MqttEngine::on_puback(const wire::Frame& frame) {
    if (frame.body.size() < 2) return connection_->break_off("the server sent a bad PUBACK: too short");
    const auto found = sent_.find(read_u16(frame.body.data()));
    if (found == sent_.end()) return;  // of an earlier connection's PUBLISH
    Held held = std::move(found->second);
    sent_.erase(found);
    const auto code =
        frame.body.size() > 2 ? static_cast<wire::ReasonCode>(frame.body[2]) : wire::ReasonCode::success;
    last_progress_ = Steady::now();
    if (!wire::is_error(code)) {
        puback_reason_.clear();
        backoff_.reset();
        return confirm(held);
    }
    std::string words = fmt::format("the server does not take the message: {}", to_text(code));
    const auto whole = wire::decode_ack(connection_->version(), wire::PacketType::puback, frame.body);
    if (whole && whole->properties.reason_string)
        words += fmt::format(": {}", *whole->properties.reason_string);
    if (is_for_good(code)) {
        backoff_.reset();
        return refuse(held, std::move(words));
    }
    puback_reason_ = std::move(words);
    lanes_.of(held).put_back(std::move(held), last_progress_);
}

void MqttEngine::confirm_written() {
    while (!written_.empty() && written_.front().end <= connection_->written_bytes()) {
        confirm(written_.front().held);
        written_.pop_front();
        last_progress_ = Steady::now();
    }
}

void MqttEngine::show_stall(Worker& worker) {
    if (!puback_reason_.empty()) {
        worker.stalled(puback_reason_);
    } else if (!(sent_.empty() && written_.empty()) &&
               Steady::now() - last_progress_ > settings_.confirm_timeout) {
        worker.stalled(fmt::format("the server has confirmed nothing for {} s",
                                   settings_.confirm_timeout.count() / 1000));
    } else {
        worker.stalled({});
    }
}

}  // namespace sluice::bridge::mqtt
