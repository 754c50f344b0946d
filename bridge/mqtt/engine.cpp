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

/// Bytes that wait for the socket; beyond it messages wait in their lanes.
constexpr std::size_t pending_bytes_max = 256UL * 1024;
/// What an MQTT packet can have [MQTT5 2.1.4].
constexpr std::uint64_t packet_bytes_max = 268'435'455;

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

/// A server that hangs up later than this after a message does so for another reason.
constexpr std::chrono::seconds prompt{10};
/// So long a connection must stand, and answer a ping, before a message is put on trial again: a server that
/// falls by itself, or because of a subscription, does so meanwhile.
constexpr std::chrono::seconds trial_hold{2};
/// The codes 0x80 and 0x83 say nothing; so often in a row they mean the message.
constexpr int unwilling_max = 5;

/// Without a reason: a gateway like this one answers so when its own upstream has refused the message.
bool says_nothing(wire::ReasonCode code) {
    return code == wire::ReasonCode::unspecified_error ||
           code == wire::ReasonCode::implementation_specific_error;
}

Suspects::Id id_of(const Held& held) {
    return {held.out.lane, held.out.sequence};
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
    written_unseen_ = false;
    unwilling_.clear();
    down_reason_.clear();
    puback_reason_.clear();
    auto opened = Connection::open(settings_, servers_[server_], hello(), worker);
    if (!opened) {
        down_reason_ = opened.error();
        suspects_.on_no_connection();
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
    const bool settled = receiver_.settle(worker.take_settled(), *connection_);
    connection_->listen(receiver_.wants_more(!sent_.empty()));
    const bool alive = connection_->service([&](const wire::Frame& frame) { on_frame(frame, worker); });
    confirm_written();
    receiver_.work(worker, *connection_);
    // Attempts with a suspect are to be spaced.
    if ((settled || connection_->proved()) && !suspects_.any()) backoff_.reset();
    if (alive) return true;
    down_reason_ = fmt::format("{}: {}", to_text(servers_[server_]), connection_->problem());
    judge_end();
    worker.confirm(confirms_);  // they came before the end
    return false;
}

/// Of what was under way one may be the reason for the end.
void MqttEngine::judge_end() {
    std::set<Suspects::Id> under_way;
    for (const auto& [id, sent] : sent_) under_way.insert(id_of(sent.held));
    for (const Written& written : written_) under_way.insert(id_of(written.held));
    const bool in_time = connection_->pending_bytes() > 0 || Steady::now() - last_sent_at_ < prompt;
    if (!suspects_.on_end(connection_->ending(), under_way, in_time && !written_unseen_)) return;
    backoff_.reset();
    refuse(sent_.empty() ? written_.front().held : sent_.begin()->second.held,
           fmt::format("the server hangs up each time that this message comes, {}", down_reason_));
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
std::chrono::milliseconds MqttEngine::wait_time() {
    const auto longest = connection_->idle_max();
    const auto now = Steady::now();
    const auto at = lanes_.wake_at(now);
    if (is_holding()) return milliseconds(50);
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
    tend_suspects();
    while (has_room() && send_one_per_lane()) {
        if (connection_->pending_bytes() >= pending_bytes_max && !connection_->flush()) return;
    }
    connection_->flush();
    confirm_written();
}

bool MqttEngine::has_room() const {
    if (suspects_.any() && (!sent_.empty() || !written_.empty() || is_holding())) return false;
    const std::size_t window = std::min(connection_->limits().receive_maximum, publish_id_max);
    return sent_.size() < window && connection_->pending_bytes() < pending_bytes_max;
}

bool MqttEngine::is_holding() const {
    return suspects_.on_trial() &&
           (!connection_->proved() || Steady::now() - connection_->opened_at() < trial_hold);
}

void MqttEngine::tend_suspects() {
    if (!suspects_.any()) return;
    if (suspects_.on_trial() && !connection_->proved()) connection_->ping();
    // What has not come by then has left the spool, and the others are not to wait for it.
    if (!sent_.empty() || !written_.empty() || Steady::now() - connection_->opened_at() < prompt) return;
    suspects_.forget_lanes([this](std::uint32_t lane) { return lanes_.at(lane).waiting() == 0; });
}

/// Beginning behind the lane that was served last. False when no lane had anything.
bool MqttEngine::send_one_per_lane() {
    std::vector<std::pair<std::uint32_t, LaneQueue*>> turn;
    for (auto& [id, lane] : lanes_)
        if (lane.ready(Steady::now())) turn.emplace_back(id, &lane);
    const auto first = std::find_if(turn.begin(), turn.end(),
                                    [this](const auto& entry) { return entry.first > last_lane_; });
    std::rotate(turn.begin(), first, turn.end());
    if (suspects_.any())
        std::stable_sort(turn.begin(), turn.end(), [this](const auto& a, const auto& b) {
            return suspects_.rank(a.first) < suspects_.rank(b.first);
        });
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
        return finish(held, Outcome::unmappable, rendered.error());
    auto publish = to_publish(held, headers);
    if (!publish) return refuse(held, publish.error());
    const bool confirmed = publish->qos == wire::QoS::at_least_once;
    if (confirmed) publish->packet_id = next_packet_id();
    ByteBuffer packet;
    wire::encode_publish(packet, connection_->version(), *publish);
    if (packet.size() > connection_->limits().packet_bytes_max)
        return refuse(held, fmt::format("the message makes a packet of {} bytes, the server takes at most {}",
                                        packet.size(), connection_->limits().packet_bytes_max));
    last_sent_at_ = Steady::now();
    if (sent_.empty()) last_progress_ = last_sent_at_;
    suspects_.forget_before(id_of(held));
    connection_->send(packet);
    if (confirmed) {
        sent_.emplace(publish->packet_id, Sent{std::move(held), last_sent_at_});
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

void MqttEngine::finish(const Held& held, Outcome outcome, std::string reason) {
    suspects_.forget(id_of(held));
    unwilling_.erase(id_of(held));
    lanes_.of(held).finished(held);
    confirms_.push_back({held.out.lane, held.out.tag, outcome, std::move(reason)});
}

void MqttEngine::refuse(const Held& held, std::string reason) {
    finish(held, Outcome::refused, std::move(reason));
}

void MqttEngine::confirm(const Held& held) {
    finish(held, Outcome::delivered, {});
}

/// Read by hand: a code that is not legal in a PUBACK says what it says, and is no reason to break off.
void MqttEngine::on_puback(const wire::Frame& frame) {
    if (frame.body.size() < 2) return connection_->break_off("the server sent a bad PUBACK: too short");
    const auto found = sent_.find(read_u16(frame.body.data()));
    if (found == sent_.end()) return;  // of an earlier connection's PUBLISH
    Held held = std::move(found->second.held);
    const Steady::time_point sent_at = found->second.at;
    sent_.erase(found);
    written_unseen_ = false;
    suspects_.on_answer(id_of(held));
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
        puback_reason_.clear();
        backoff_.reset();
        return refuse(held, std::move(words));
    }
    on_unwilling(std::move(held), code, std::move(words),
                 std::chrono::duration_cast<milliseconds>(last_progress_ - sent_at));
}

/// Not now; or never, when it says so at once and without a reason time and again. An answer that took long
/// is the end of a wait there: what is behind the server is away, and nothing is wrong with the message.
void MqttEngine::on_unwilling(Held held, wire::ReasonCode code, std::string words, milliseconds took) {
    const bool counts = says_nothing(code) && took < prompt;
    int& count = unwilling_[id_of(held)];
    count = counts ? count + 1 : 0;
    if (count >= unwilling_max) {
        puback_reason_.clear();
        backoff_.reset();
        return refuse(held, fmt::format("{}, {} times in a row", words, unwilling_max));
    }
    puback_reason_ = std::move(words);
    lanes_.of(held).put_back(std::move(held), last_progress_);
}

void MqttEngine::confirm_written() {
    while (!written_.empty() && written_.front().end <= connection_->written_bytes()) {
        confirm(written_.front().held);
        written_.pop_front();
        written_unseen_ = true;
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
