#include "tests/sim/client.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.hpp"
#include "tests/sim/message_id.hpp"
#include "tests/sim/time.hpp"
#include "wire/encode.hpp"

namespace sluice::sim {

using wire::PacketId;
using wire::PacketType;
using wire::QoS;

namespace {

// Few, so that they are used again soon.
constexpr PacketId packet_ids = 30;
constexpr PacketId subscription_ids = 1000;
/// The delay begins when the broker sees the end of the connection, and the time may leap more than once
/// before its shard has a turn.
constexpr std::int64_t will_slack_ms = 10'000;

std::uint64_t connections_made = 0;

}  // namespace

Client::Client(ClientPlan plan, Oracle& oracle, Trace& trace, Random& random)
    : plan_(std::move(plan)),
      oracle_(oracle),
      trace_(trace),
      random_(random),
      index_(oracle.add_client(plan_.name, plan_.expiry_s)) {}

Client::~Client() {
    drop_connection();
}

std::int64_t Client::now_ms() {
    return time_ms();
}

void Client::connect(shard::Inlet& home, bool clean_start) {
    // The end of an old connection is the broker's to find out.
    if (fd_ >= 0) abandoned_.push_back(std::exchange(fd_, -1));
    if (!abandoned_.empty()) closed_ms_ = now_ms();
    end_connection();
    clean_pending_ |= clean_start;
    int fds[2] = {-1, -1};
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    fd_ = fds[0];
    frames_ = std::make_unique<wire::FrameReader>(1U << 20);
    connection_ = ++connections_made;
    connect_ms_ = now_ms();
    unsure_ = unsure_next_;
    unsure_next_ |= expired_ago();
    shard::Admission admission;
    admission.channel.fd = fds[1];
    admission.client_id = plan_.name;
    admission.clean_start = clean_pending_ || !persistent();
    admission.session_expiry_interval_s = plan_.expiry_s;
    admission.receive_maximum = plan_.receive_maximum;
    admission.will = make_will();
    trace_.note("connect", index_, admission.clean_start);
    oracle_.connect_sent(index_, admission.clean_start);
    home.post_admission(std::move(admission));
}

bool Client::expired_ago() const {
    return had_session_ && now_ms() - gone_ms_ >= std::int64_t{plan_.expiry_s} * 1000;
}

std::optional<shard::AdmittedWill> Client::make_will() {
    if (!plan_.has_will) return std::nullopt;
    look_at_will();
    will_ = {};
    const std::string topic = "w/" + plan_.name;
    will_.message = oracle_.new_message(
        {.publisher = index_, .topic = topic, .qos = plan_.will_qos, .is_will = true, .candidates = {}});
    wire::Properties properties;
    const ByteBuffer id = bytes_of_id(will_.message);
    properties.correlation_data = Bytes(id);
    ByteBuffer run;
    wire::encode_property_run(run, properties);
    return shard::AdmittedWill{core::Message::freeze({.topic = topic,
                                                      .properties = run,
                                                      .payload = as_bytes("will"),
                                                      .qos = plan_.will_qos,
                                                      .client_id = plan_.name}),
                               plan_.will_delay_s};
}

/// A will that was to wait is void when its client comes back in time, and may be or not be when it comes
/// back late; one without delay is due.
void Client::look_at_will() {
    if (!will_.armed || !will_.due) return;
    const std::int64_t since = std::max(will_.lost_ms, broker_began_ms_);
    const bool late = now_ms() - since > std::int64_t{plan_.will_delay_s} * 1000 + will_slack_ms;
    if (plan_.will_delay_s > 0 && !late) return;
    oracle_.will_published(will_.message);
    will_ = {};
}

void Client::drop_connection() {
    if (fd_ >= 0) abandoned_.push_back(std::exchange(fd_, -1));
    for (const int fd : abandoned_) ::close(fd);
    abandoned_.clear();
    closed_ms_ = now_ms();
    end_connection();
}

void Client::end_connection() {
    if (connected_) {
        gone_ms_ = now_ms();
        if (will_.armed && !will_.due) {
            will_.due = true;
            will_.lost_ms = now_ms();
            oracle_.will_due(will_.message);
        }
    } else {
        // It may have been let in, into a new session, without having heard it.
        unsure_next_ |= expired_ago();
    }
    connected_ = false;
    out_.clear();
    owed_.clear();
    if (persistent()) return;
    oracle_.session_lost(index_);
    forget_session();
}

void Client::cut(bool reads_first) {
    trace_.note("cut", index_, reads_first);
    if (reads_first)
        while (read_some(65536)) {
        }
    drop_connection();
}

void Client::leave() {
    trace_.note("leave", index_);
    ByteBuffer packet;
    wire::encode_disconnect(packet, wire::Version::v5, {});
    send(packet);
    // If not all of it can be written the broker sees a lost connection: the will may or may not come.
    while (write_some(65536)) {
    }
    will_ = {};
    drop_connection();
}

void Client::forget_session() {
    sent_.clear();
    incoming_.clear();
    owed_.clear();
    pending_.reset();
}

bool Client::may_publish() const {
    return connected() && sent_.size() < quota_ && sent_.size() < packet_ids;
}

PacketId Client::free_packet_id() {
    for (;;) {
        last_id_ = static_cast<PacketId>(last_id_ % packet_ids + 1);
        if (std::none_of(sent_.begin(), sent_.end(),
                         [this](const Sent& one) { return one.packet_id == last_id_; }))
            return last_id_;
    }
}

void Client::publish(const std::string& topic, QoS qos, bool retain, bool clears, std::size_t padding) {
    Sent sent{.message = oracle_.new_message({.publisher = index_,
                                              .topic = topic,
                                              .qos = qos,
                                              .retain = retain,
                                              .clears = clears,
                                              .candidates = {}}),
              .packet = {},
              .qos = qos};
    if (qos != QoS::at_most_once) sent.packet_id = free_packet_id();
    const ByteBuffer id = bytes_of_id(sent.message);
    const std::string payload(clears ? 0 : padding + 1, 'x');
    wire::Publish packet;
    packet.topic = topic;
    packet.payload = as_bytes(std::string_view(payload));
    packet.qos = qos;
    packet.retain = retain;
    packet.packet_id = sent.packet_id;
    packet.properties.correlation_data = Bytes(id);
    wire::encode_publish(sent.packet, wire::Version::v5, packet);
    trace_.note("publish", index_, sent.message, static_cast<int>(qos), sent.packet_id, retain);
    oracle_.sent(sent.message);
    send(sent.packet);
    if (qos != QoS::at_most_once) sent_.push_back(std::move(sent));
}

void Client::subscribe(const std::string& filter) {
    pending_ = Pending{true, filter, subscription_ids};
    oracle_.subscribe_sent(index_, filter);
    send_pending();
}

void Client::unsubscribe(const std::string& filter) {
    pending_ = Pending{false, filter, subscription_ids};
    oracle_.unsubscribe_sent(index_, filter);
    send_pending();
}

void Client::send_pending() {
    if (!pending_) return;
    trace_.note(pending_->subscribes ? "subscribe" : "unsubscribe", index_);
    ByteBuffer packet;
    if (pending_->subscribes) {
        wire::Subscribe subscribe;
        subscribe.packet_id = pending_->packet_id;
        subscribe.entries.push_back({.filter = pending_->filter, .qos = plan_.subscribed_qos});
        wire::encode_subscribe(packet, wire::Version::v5, subscribe);
    } else {
        wire::Unsubscribe unsubscribe;
        unsubscribe.packet_id = pending_->packet_id;
        unsubscribe.filters.push_back(pending_->filter);
        wire::encode_unsubscribe(packet, wire::Version::v5, unsubscribe);
    }
    send(packet);
}

/// PUBLISH with DUP, or PUBREL, in the order in which they were first sent [MQTT-4.4.0-1].
void Client::repeat_everything() {
    for (Sent& sent : sent_) {
        if (sent.released) {
            send_ack(PacketType::pubrel, sent.packet_id);
            continue;
        }
        trace_.note("repeat", index_, sent.message, sent.packet_id);
        oracle_.sent(sent.message);
        ByteBuffer packet = sent.packet;
        packet[0] |= 0x08;  // DUP
        send(packet);
    }
}

void Client::send_ack(PacketType type, PacketId id) {
    trace_.note("ack", index_, static_cast<int>(type), id);
    ByteBuffer packet;
    wire::encode_ack(packet, wire::Version::v5, type, {.packet_id = id});
    send(packet);
}

bool Client::acknowledge_some(std::size_t count) {
    count = std::min(count, owed_.size());
    if (!connected() || count == 0) return false;
    for (std::size_t i = 0; i < count; ++i) send_ack(owed_[i].type, owed_[i].packet_id);
    owed_.erase(owed_.begin(), owed_.begin() + static_cast<std::ptrdiff_t>(count));
    return true;
}

bool Client::write_some(std::size_t bytes) {
    const std::size_t size = std::min(bytes, out_.size());
    if (fd_ < 0 || size == 0) return false;
    const ssize_t n = ::send(fd_, out_.data(), size, MSG_NOSIGNAL);
    if (n <= 0) return false;
    out_.erase(out_.begin(), out_.begin() + n);
    return true;
}

bool Client::read_some(std::size_t bytes) {
    std::uint8_t buffer[65536];
    if (fd_ < 0) return false;
    const ssize_t n = ::recv(fd_, buffer, std::min(bytes, sizeof buffer), 0);
    if (n < 0) return false;
    if (n == 0) {
        trace_.note("closed", index_);
        drop_connection();
        return true;
    }
    const auto fed = frames_->feed(Bytes(buffer, static_cast<std::size_t>(n)), [this](const auto& frame) {
        receive(frame);
        return fd_ >= 0;
    });
    if (!fed) violation("the broker sent what is no packet");
    return true;
}

}  // namespace sluice::sim
