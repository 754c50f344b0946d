#include "traffic.hpp"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>

namespace bench {
namespace {

constexpr std::uint64_t deadline_ns = 180'000'000'000U;
constexpr std::uint32_t subscriber_bit = 1U << 31;

/// A PUBACK, PUBREC, PUBREL or PUBCOMP.
std::array<char, 4> ack_packet(std::uint8_t first, std::uint16_t id) {
    return {static_cast<char>(first), 2, static_cast<char>(id >> 8), static_cast<char>(id & 0xFF)};
}

/// Whether the driver has written a line; takes it.
bool is_told() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, 0) <= 0) return false;
    std::string line;
    if (!std::getline(std::cin, line)) throw std::runtime_error("the driver has gone");
    return true;
}

void send_ack(Client& client, std::uint8_t first, std::uint16_t id) {
    const auto bytes = ack_packet(first, id);
    client.send({bytes.data(), bytes.size()});
}

}  // namespace

void SequenceCheck::on(std::uint32_t sequence, TrafficResult& result) {
    if (sequence > last_) {
        const std::uint32_t step = sequence - last_;
        missing_ += step - 1;
        recent_ = step >= 64 ? 1 : recent_ << step | 1;
        last_ = sequence;
        return;
    }
    const std::uint32_t back = last_ - sequence;
    const std::uint64_t bit = back < 64 ? std::uint64_t{1} << back : 0;
    if (bit == 0 || (recent_ & bit) != 0) {
        ++result.duplicated;
        return;
    }
    recent_ |= bit;
    --missing_;
    ++result.misordered;
}

void SequenceCheck::finish(std::uint32_t last_sent, TrafficResult& result) const {
    result.lost += missing_ + (last_sent - last_);
}

Traffic::Traffic(TrafficPlan plan) : plan_(std::move(plan)) {
    if (plan_.topology == "pairs") plan_.subscribers = plan_.publishers;
    if (plan_.topology == "fan-in") plan_.subscribers = 1;
    if (plan_.topology == "fan-out") plan_.publishers = 1;
    if (plan_.topology == "publish") plan_.subscribers = 0;
    if (plan_.subscribers == 0 && plan_.qos == 0)
        throw std::runtime_error("nothing tells that a message of QoS 0 has come to nobody");
    if (plan_.tls) tls_ = make_tls_context();
    connect_all();
}

std::string Traffic::topic_of(std::uint32_t publisher) const {
    return plan_.prefix + "/" + std::to_string(publisher);
}

std::unique_ptr<Client> Traffic::connect(std::string client_id, bool clean, std::uint32_t index) {
    auto client = std::make_unique<Client>(loop_, *this, plan_.port, tls_.get());
    client->index = index;
    client->send(connect_packet(client_id, clean));
    loop_.flush();
    return client;
}

void Traffic::wait_until(const char* what, auto&& done) {
    const std::uint64_t end = now_ns() + deadline_ns;
    while (!done()) {
        loop_.turn(1000);
        if (now_ns() > end) throw std::runtime_error(std::string("the broker has not ") + what + " in time");
    }
}

void Traffic::connect_all() {
    subscribers_.resize(plan_.subscribers);
    publishers_.resize(plan_.publishers);
    std::uint32_t connected = 0;
    // One after the other: the order of connections, and with it the shards they live on, stays the same.
    for (std::uint32_t i = 0; i < plan_.subscribers; ++i) {
        Subscriber& subscriber = subscribers_[i];
        subscriber.client =
            connect(plan_.prefix + "-sub-" + std::to_string(i), !plan_.durable, i | subscriber_bit);
        subscriber.checks.resize(plan_.publishers);
        ++connected;
        wait_until("accepted a subscriber", [&] { return answers_ == connected; });
        std::vector<std::string> filters{topic_of(i)};
        if (plan_.topology == "fan-in") filters = {plan_.prefix + "/+"};
        if (plan_.topology == "fan-out") filters = {topic_of(0)};
        subscriber.client->send(subscribe_packet(filters, plan_.qos));
        loop_.flush();
        ++connected;
        wait_until("confirmed a subscription", [&] { return answers_ == connected; });
    }
    for (std::uint32_t i = 0; i < plan_.publishers; ++i) {
        Publisher& publisher = publishers_[i];
        publisher.client = connect(plan_.prefix + "-pub-" + std::to_string(i), true, i);
        publisher.message =
            std::make_unique<PublishTemplate>(topic_of(i), plan_.qos, false, plan_.payload_bytes, i);
        ++connected;
        wait_until("accepted a publisher", [&] { return answers_ == connected; });
    }
}

void Traffic::publish_one(Publisher& publisher, std::uint64_t at_ns) {
    std::uint16_t id = 0;
    if (plan_.qos > 0) {
        id = publisher.next_id++;
        if (publisher.next_id == 0) publisher.next_id = 1;
        ++publisher.unacknowledged;
    }
    if (plan_.subscribers == 0) publisher.due_ns.push_back(at_ns);
    publisher.message->append_to(publisher.client->out(), id, ++publisher.sent, at_ns);
    publisher.client->send_soon();
}

void Traffic::fill_window(Publisher& publisher) {
    const std::uint32_t copies = receivers_of_each();
    if (to_send_ == 0) return;
    const std::uint64_t at = now_ns();
    while (to_send_ > 0 && publisher.unacknowledged < plan_.window &&
           std::uint64_t{publisher.sent} * copies - publisher.delivered <
               std::uint64_t{plan_.window} * copies) {
        publish_one(publisher, at);
        --to_send_;
    }
}

bool Traffic::settled() const {
    return std::all_of(publishers_.begin(), publishers_.end(), [this](const Publisher& publisher) {
        return publisher.unacknowledged == 0 &&
               publisher.delivered >= std::uint64_t{publisher.sent} * receivers_of_each();
    });
}

TrafficResult Traffic::run(std::uint64_t deliveries) {
    result_ = {};
    for (Subscriber& subscriber : subscribers_)
        std::fill(subscriber.checks.begin(), subscriber.checks.end(), SequenceCheck{});
    for (Publisher& publisher : publishers_) publisher.sent = 0, publisher.delivered = 0;
    const std::uint64_t start = now_ns();
    const std::uint64_t messages = std::max<std::uint64_t>(1, deliveries / receivers_of_each());
    if (plan_.rate > 0)
        run_open(messages);
    else
        run_closed(messages);
    result_.seconds = static_cast<double>(now_ns() - start) / 1e9;
    // The answer to a ping tells that the broker has read the last acknowledgements.
    pongs_ = 0;
    for (Subscriber& subscriber : subscribers_) subscriber.client->send(ping_packet());
    loop_.flush();
    wait_until("answered a ping", [&] { return pongs_ == subscribers_.size(); });
    for (std::uint32_t s = 0; s < subscribers_.size(); ++s) {
        for (std::uint32_t p = 0; p < publishers_.size(); ++p) {
            if (plan_.topology == "pairs" && s != p) continue;
            subscribers_[s].checks[p].finish(publishers_[p].sent, result_);
        }
    }
    return result_;
}

void Traffic::run_closed(std::uint64_t messages) {
    to_send_ = messages;
    for (Publisher& publisher : publishers_) fill_window(publisher);
    loop_.flush();
    // What is lost never arrives: then the broker is given a while without news.
    std::uint64_t last_news = now_ns(), seen = 0;
    while (to_send_ > 0 || !settled()) {
        loop_.turn(100);
        if (result_.deliveries != seen) {
            seen = result_.deliveries;
            last_news = now_ns();
        } else if (now_ns() - last_news > 10'000'000'000U) {
            break;
        }
    }
}

void Traffic::run_open(std::uint64_t messages) {
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    const std::uint64_t step = 1'000'000'000U / plan_.rate;
    itimerspec spec{};
    spec.it_interval.tv_sec = static_cast<time_t>(step / 1'000'000'000U);
    spec.it_interval.tv_nsec = static_cast<long>(step % 1'000'000'000U);
    spec.it_value = spec.it_interval;
    const std::uint64_t start = now_ns(), end = start + messages * step + 10'000'000'000U;
    if (timerfd_settime(timer, 0, &spec, nullptr) != 0) throw std::runtime_error("no timer of that rate");
    loop_.watch(timer, nullptr, false);
    std::uint64_t sent = 0;
    while ((sent < messages || !settled()) && now_ns() < end) {
        loop_.turn(100);
        if (plan_.until_told && sent < messages && is_told()) messages = sent;
        std::uint64_t expirations = 0;
        if (::read(timer, &expirations, sizeof expirations) != sizeof expirations) continue;
        for (; expirations > 0 && sent < messages; --expirations) {
            // Stamped with the time it was due, so that a generator held up hides no delay.
            publish_one(publishers_[sent % publishers_.size()], start + (sent + 1) * step);
            ++sent;
        }
        loop_.flush();
    }
    loop_.forget(timer);
    ::close(timer);
}

void Traffic::on_packet(Client& client, const Packet& packet) {
    switch (packet.first & 0xF0) {
        case publish:
            return on_publish(client, packet);
        case connack:
            if (packet.body.size() != 2 || packet.body[1] != 0)
                throw std::runtime_error("the broker refused a client");
            ++answers_;
            return;
        case suback:
            if (packet.body.size() < 3 || static_cast<unsigned char>(packet.body[2]) >= 0x80)
                throw std::runtime_error("the broker refused a subscription");
            ++answers_;
            return;
        case pingresp:
            ++pongs_;
            return;
        default:
            break;
    }
    if (client.index & subscriber_bit) {
        if ((packet.first & 0xF0) == pubrel) send_ack(client, pubcomp, packet_id_of(packet));
        return;
    }
    on_publisher_packet(publishers_[client.index], packet);
}

void Traffic::on_publish(Client& client, const Packet& packet) {
    const PublishView view = parse_publish(packet);
    if (view.qos == 1) send_ack(client, puback, view.packet_id);
    if (view.qos == 2) send_ack(client, pubrec, view.packet_id);
    Stamp stamp{};
    if (view.payload.size() < sizeof stamp)
        throw std::runtime_error("the broker sent a payload that is not ours");
    std::memcpy(&stamp, view.payload.data(), sizeof stamp);
    if (stamp.publisher >= publishers_.size()) throw std::runtime_error("the broker changed a payload");
    Subscriber& subscriber = subscribers_[client.index & ~subscriber_bit];
    subscriber.checks[stamp.publisher].on(stamp.sequence, result_);
    ++result_.deliveries;
    if (plan_.rate > 0 || result_.deliveries % 16 == 0) note_latency(stamp.sent_ns);
    Publisher& publisher = publishers_[stamp.publisher];
    ++publisher.delivered;
    if (plan_.rate == 0) fill_window(publisher);
}

void Traffic::note_latency(std::uint64_t due_ns) {
    const std::uint64_t latency = now_ns() - due_ns;
    result_.latency.add(latency);
    if (plan_.keeps_samples) result_.samples.push_back({due_ns, latency});
}

/// Acknowledgements come in the order of the messages [MQTT-4.6.0-2].
void Traffic::on_stored(Publisher& publisher) {
    ++publisher.delivered;
    ++result_.deliveries;
    note_latency(publisher.due_ns.front());
    publisher.due_ns.pop_front();
}

void Traffic::on_publisher_packet(Publisher& publisher, const Packet& packet) {
    switch (packet.first & 0xF0) {
        case pubrec:
            send_ack(*publisher.client, pubrel | 2, packet_id_of(packet));
            break;
        case puback:
        case pubcomp:
            --publisher.unacknowledged;
            if (plan_.subscribers == 0) on_stored(publisher);
            if (plan_.rate == 0) fill_window(publisher);
            break;
        default:
            break;
    }
}

}  // namespace bench
