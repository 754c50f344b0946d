// What a client has had before the broker was killed comes again with DUP and its packet id, wherever in the
// draining of a queue that was.
#include "tests/unit/shard/exactly_once_fixture.hpp"

namespace sluice::shard::test {
namespace {

struct Got {
    std::string payload;
    wire::PacketId packet_id = 0;
    bool dup = false;
};

/// A subscriber that notes every packet, and acknowledges when told.
class Taker {
  public:
    Taker(CrashHouse& house, std::string id, wire::Version version, std::uint16_t window)
        : house_(house), id_(std::move(id)), version_(version), window_(window) {}
    Taker(const Taker&) = delete;
    Taker& operator=(const Taker&) = delete;
    ~Taker() { disconnect(); }

    void connect() {
        disconnect();
        int fds[2] = {-1, -1};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        fd_ = fds[0];
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = id_;
        admission.version = version_;
        admission.clean_start = false;
        admission.session_expiry_interval_s = 3600;
        if (version_ == wire::Version::v5) admission.receive_maximum = window_;
        house_.home_of(id_).post_admission(std::move(admission));
        frames_ = std::make_unique<wire::FrameReader>(1U << 20);
    }
    void disconnect() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
        unanswered_.clear();
    }
    void subscribe(wire::QoS qos) {
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = "t", .qos = qos});
        ByteBuffer out;
        wire::encode_subscribe(out, version_, packet);
        send(out);
    }
    /// Reads what came; whether there was anything.
    bool read() {
        std::uint8_t buffer[65536];
        bool any = false;
        for (ssize_t n = 0; fd_ >= 0 && (n = ::recv(fd_, buffer, sizeof buffer, 0)) > 0; any = true) {
            const auto fed =
                frames_->feed(Bytes(buffer, static_cast<std::size_t>(n)), [&](const wire::Frame& frame) {
                    note(frame);
                    return true;
                });
            EXPECT_TRUE(fed.ok());
        }
        return any;
    }
    bool read_and_answer() {
        const bool any = read();
        for (const auto& [type, packet_id] : unanswered_) {
            ByteBuffer out;
            wire::encode_ack(out, version_, type, {.packet_id = packet_id});
            send(out);
        }
        unanswered_.clear();
        return any;
    }

    std::vector<Got> got;

  private:
    void send(const ByteBuffer& out) {
        if (fd_ >= 0) (void)::send(fd_, out.data(), out.size(), MSG_NOSIGNAL);
    }
    void note(const wire::Frame& frame) {
        if (frame.type == wire::PacketType::pubrel) {
            const auto ack = wire::decode_ack(version_, frame.type, frame.body);
            ASSERT_TRUE(ack.ok());
            unanswered_.emplace_back(wire::PacketType::pubcomp, ack->packet_id);
        }
        if (frame.type != wire::PacketType::publish) return;
        ByteBuffer scratch;
        const auto packet = wire::decode_publish(version_, frame.flags, frame.body, scratch);
        ASSERT_TRUE(packet.ok());
        got.push_back({std::string(as_text(packet->payload)), packet->packet_id, packet->dup});
        unanswered_.emplace_back(
            packet->qos == wire::QoS::at_least_once ? wire::PacketType::puback : wire::PacketType::pubrec,
            packet->packet_id);
    }

    CrashHouse& house_;
    const std::string id_;
    const wire::Version version_;
    const std::uint16_t window_;
    int fd_ = -1;
    std::unique_ptr<wire::FrameReader> frames_;
    std::vector<std::pair<wire::PacketType, wire::PacketId>> unanswered_;
};

struct Case {
    wire::Version version = wire::Version::v5;
    std::uint16_t window = 2;
    wire::QoS qos = wire::QoS::at_least_once;
    bool offline = true;  ///< the messages waited for the client; else they came while it lagged
};

class Redelivery : public ExactlyOnce {
  protected:
    static constexpr int messages = 60;
    static std::string payload(int i) { return fmt::format("{:03}", i); }

    /// A queue of all messages on disk, and the taker connected or about to be.
    void fill(const Case& c) {
        Limits limits;
        limits.inflight_max = c.window;
        begin(1, limits);
        taker_ = std::make_unique<Taker>(*house_, "taker", c.version, c.window);
        taker_->connect();
        taker_->subscribe(c.qos);
        settle_without_answers();
        if (c.offline) taker_->disconnect();
        Client& publisher = client("publisher", 0);
        for (int i = 0; i < messages; ++i) {
            publisher.publish(static_cast<wire::PacketId>(i + 1), payload(i));
            if (i % 10 == 9) settle_without_answers();
        }
        EXPECT_TRUE(publisher.all_acknowledged());
        if (c.offline) taker_->connect();
    }
    void settle_without_answers() {
        house_->settle([this] {
            const bool attended = attend();
            return taker_->read() || attended;
        });
    }
    /// `order` as in CrashHouse::step.
    void drain(std::string_view order, std::size_t steps) {
        for (std::size_t i = 0; i < steps; ++i) {
            house_->step(order[i % order.size()]);
            taker_->read_and_answer();
        }
    }
    void kill_and_come_back() {
        taker_->disconnect();
        for (const auto& one : clients_) one->disconnect();
        house_->kill_and_start(1);
        taker_->connect();
        house_->settle([this] { return taker_->read_and_answer(); });
    }
    void check(std::size_t before, const std::string& when) {
        std::map<std::string, wire::PacketId> known;
        std::set<std::string> all;
        std::string last_before, last_after;
        for (std::size_t i = 0; i < taker_->got.size(); ++i) {
            const Got& one = taker_->got[i];
            all.insert(one.payload);
            if (i < before) {
                EXPECT_FALSE(one.dup) << one.payload << when;
                EXPECT_LT(last_before, one.payload) << when;
                last_before = one.payload;
                known.emplace(one.payload, one.packet_id);
                continue;
            }
            EXPECT_LT(last_after, one.payload) << when;
            last_after = one.payload;
            const auto found = known.find(one.payload);
            if (found == known.end()) continue;
            EXPECT_TRUE(one.dup) << one.payload << when;
            EXPECT_EQ(one.packet_id, found->second) << one.payload << when;
        }
        EXPECT_EQ(all.size(), static_cast<std::size_t>(messages)) << when;
    }
    void kill_anywhere(const Case& c) {
        for (const char* order : {"0", "0000000c", "000c", "0c"}) {
            for (std::size_t steps = 1; steps < 150 && !HasFailure(); steps += steps < 24 ? 1 : 9) {
                fill(c);
                drain(order, steps);
                const std::size_t before = taker_->got.size();
                kill_and_come_back();
                check(before, fmt::format(", killed after {} steps of {}", steps, order));
            }
        }
    }
    void TearDown() override {
        taker_.reset();
        ExactlyOnce::TearDown();
    }

    std::unique_ptr<Taker> taker_;
};

TEST_F(Redelivery, OfAQueueThatWaitedHasDupAndTheSameId_MQTT_3_3_1_1) {
    kill_anywhere({.version = wire::Version::v5, .window = 2});
}

// [MQTT-3.1.1:3.3.1-1], [MQTT-3.1.1:4.4.0-1]
TEST_F(Redelivery, OfAQueueThatWaitedHasDupAndTheSameIdForVersion4) {
    kill_anywhere({.version = wire::Version::v3_1_1, .window = 5});
}

TEST_F(Redelivery, OfWhatALaggingClientHadHasDupAndTheSameId_MQTT_4_4_0_1) {
    kill_anywhere({.window = 3, .offline = false});
}

TEST_F(Redelivery, OfQos2HasDupAndTheSameId_MQTT_4_4_0_1) {
    kill_anywhere({.window = 2, .qos = wire::QoS::exactly_once});
}

// What comes while the client is connected is recorded in the commit that brings it: nothing more to wait
// for.
TEST_F(Redelivery, WhatComesToALaggingClientNeverWaitsForTheDisk) {
    Limits limits;
    limits.inflight_max = 2;
    begin(1, limits);
    taker_ = std::make_unique<Taker>(*house_, "taker", wire::Version::v5, std::uint16_t{2});
    taker_->connect();
    taker_->subscribe(wire::QoS::at_least_once);
    Client& publisher = client("publisher", 0);
    settle_without_answers();
    for (int i = 0; i < 20; ++i) publisher.publish(static_cast<wire::PacketId>(i + 1), payload(i));
    drain("0", 100);
    EXPECT_EQ(taker_->got.size(), 20U);
}

}  // namespace
}  // namespace sluice::shard::test
