// An acknowledgement is a promise: nothing that says "I have it" leaves before the store says "it is
// durable". The store here commits when the test tells it to.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "shard/shard.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::shard {
namespace {

using wire::PacketType;
using wire::QoS;
using wire::Version;

class HeldStore final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return store::Recovered{}; }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex, store::TurnNumber turn,
                    std::vector<core::LedgerEntry> batch) override {
        {
            const std::lock_guard lock(mutex_);
            last_turn_ = turn;
            entries_ += batch.size();
            if (!open_) return;
        }
        shard->post_committed(turn);
    }
    void post_load_queue(store::ShardIndex, core::SessionKey, core::RowId, std::size_t,
                         std::size_t) override {}
    void post_find_oldest(store::ShardIndex, core::SessionKey, core::RowId, std::size_t) override {}
    store::StoreStats stats() const override { return {}; }

    /// From now on batches wait until release().
    void hold() {
        const std::lock_guard lock(mutex_);
        open_ = false;
    }
    void release() {
        store::TurnNumber turn = 0;
        {
            const std::lock_guard lock(mutex_);
            open_ = true;
            turn = last_turn_;
        }
        shard->post_committed(turn);
    }

    Shard* shard = nullptr;

  private:
    std::mutex mutex_;
    bool open_ = true;
    store::TurnNumber last_turn_ = 0;
    std::size_t entries_ = 0;
};

/// The client's end of a socket pair whose other end a shard has.
class Client {
  public:
    Client(Shard& shard, std::string client_id, std::uint32_t session_expiry_s) {
        int fds[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        fd_ = fds[0];
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = std::move(client_id);
        admission.clean_start = false;
        admission.session_expiry_interval_s = session_expiry_s;
        shard.post_admission(std::move(admission));
    }
    ~Client() { ::close(fd_); }

    void send(const ByteBuffer& bytes) {
        EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    /// The type of the next packet; fails after a deadline.
    PacketType next() {
        for (int i = 0; i < 500; ++i) {
            const auto cut = wire::cut_frame(received_, 1 << 20);
            if (cut.ok() && cut->has_value()) {
                const PacketType type = (*cut)->type;
                received_.erase(received_.begin(),
                                received_.begin() + static_cast<std::ptrdiff_t>((*cut)->size_bytes));
                return type;
            }
            pollfd poll_fd{fd_, POLLIN, 0};
            ::poll(&poll_fd, 1, 20);
            std::uint8_t buffer[4096];
            const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
            if (n > 0) received_.insert(received_.end(), buffer, buffer + n);
        }
        ADD_FAILURE() << "no packet came";
        return PacketType::auth;
    }
    /// Everything that was sent before has been handled, and nothing but this PINGRESP came of it.
    void expect_silence() {
        ByteBuffer ping;
        wire::encode_pingreq(ping);
        send(ping);
        EXPECT_EQ(next(), PacketType::pingresp);
    }

  private:
    int fd_ = -1;
    ByteBuffer received_;
};

class AckAfterCommit : public testing::Test {
  protected:
    AckAfterCommit() : retained_(100) {
        shard_ = std::make_unique<Shard>(
            0, SharedParts{&store_, &retained_, auth::make_allow_all_authorizer(), {}});
        store_.shard = shard_.get();
        shard_->set_peers({shard_->as_peer()});
        thread_ = std::thread([this] { shard_->run(); });
    }
    ~AckAfterCommit() override {
        shard_->post_stop();
        thread_.join();
    }

    static ByteBuffer publish(QoS qos, wire::PacketId id, bool retain = false) {
        ByteBuffer out;
        wire::Publish packet;
        packet.topic = "t";
        packet.qos = qos;
        packet.packet_id = id;
        packet.retain = retain;
        static constexpr std::string_view payload = "x";
        packet.payload = as_bytes(payload);
        wire::encode_publish(out, Version::v5, packet);
        return out;
    }
    static ByteBuffer subscribe() {
        ByteBuffer out;
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = "t", .qos = QoS::exactly_once});
        wire::encode_subscribe(out, Version::v5, packet);
        return out;
    }
    /// A persistent session that is not there, subscribed to "t".
    void make_offline_subscriber() {
        Client subscriber(*shard_, "subscriber", 3600);
        EXPECT_EQ(subscriber.next(), PacketType::connack);
        subscriber.send(subscribe());
        EXPECT_EQ(subscriber.next(), PacketType::suback);
        ByteBuffer bye;
        wire::encode_disconnect(bye, Version::v5, {});
        subscriber.send(bye);
    }

    HeldStore store_;
    core::RetainedIndex retained_;
    std::unique_ptr<Shard> shard_;
    std::thread thread_;
};

TEST_F(AckAfterCommit, PubackWaitsForTheDisk) {
    make_offline_subscriber();
    Client publisher(*shard_, "publisher", 0);
    ASSERT_EQ(publisher.next(), PacketType::connack);
    store_.hold();
    publisher.send(publish(QoS::at_least_once, 1));
    publisher.expect_silence();
    store_.release();
    EXPECT_EQ(publisher.next(), PacketType::puback);
}

TEST_F(AckAfterCommit, PubrecAndPubcompWaitForTheDisk) {
    make_offline_subscriber();
    Client publisher(*shard_, "publisher", 3600);
    ASSERT_EQ(publisher.next(), PacketType::connack);
    store_.hold();
    publisher.send(publish(QoS::exactly_once, 1));
    publisher.expect_silence();
    store_.release();
    EXPECT_EQ(publisher.next(), PacketType::pubrec);
    store_.hold();
    ByteBuffer pubrel;
    wire::encode_ack(pubrel, Version::v5, PacketType::pubrel, {.packet_id = 1});
    publisher.send(pubrel);
    publisher.expect_silence();
    store_.release();
    EXPECT_EQ(publisher.next(), PacketType::pubcomp);
}

TEST_F(AckAfterCommit, ARepetitionOfWhatStillWaitsHasOneAnswer_MQTT_4_3_3_10) {
    make_offline_subscriber();
    for (const std::uint32_t session_expiry_s : {0U, 3600U}) {
        Client publisher(*shard_, "publisher", session_expiry_s);
        ASSERT_EQ(publisher.next(), PacketType::connack);
        store_.hold();
        publisher.send(publish(QoS::exactly_once, 1));
        publisher.send(publish(QoS::exactly_once, 1));
        publisher.expect_silence();
        store_.release();
        EXPECT_EQ(publisher.next(), PacketType::pubrec);
        publisher.expect_silence();
        // Now the answer is there, it is given again.
        publisher.send(publish(QoS::exactly_once, 1));
        EXPECT_EQ(publisher.next(), PacketType::pubrec);
        publisher.expect_silence();
    }
}

TEST_F(AckAfterCommit, ARetainedMessageIsAPromiseToo) {
    Client publisher(*shard_, "publisher", 0);
    ASSERT_EQ(publisher.next(), PacketType::connack);
    store_.hold();
    publisher.send(publish(QoS::at_least_once, 1, true));
    publisher.expect_silence();
    store_.release();
    EXPECT_EQ(publisher.next(), PacketType::puback);
}

TEST_F(AckAfterCommit, SubackOfAPersistentSessionWaitsForTheDisk) {
    Client client(*shard_, "client", 3600);
    ASSERT_EQ(client.next(), PacketType::connack);
    store_.hold();
    client.send(subscribe());
    client.expect_silence();
    store_.release();
    EXPECT_EQ(client.next(), PacketType::suback);
}

TEST_F(AckAfterCommit, ConnackOfAPersistentSessionWaitsForTheDisk) {
    Client first(*shard_, "first", 0);
    ASSERT_EQ(first.next(), PacketType::connack);
    store_.hold();
    Client client(*shard_, "client", 3600);
    first.expect_silence();
    store_.release();
    EXPECT_EQ(client.next(), PacketType::connack);
}

TEST_F(AckAfterCommit, WithoutADurableReceiverNothingWaits) {
    Client publisher(*shard_, "publisher", 0);
    ASSERT_EQ(publisher.next(), PacketType::connack);
    store_.hold();
    publisher.send(publish(QoS::at_least_once, 1));
    EXPECT_EQ(publisher.next(), PacketType::puback);
    store_.release();
}

// [MQTT-4.6.0-2]: the second one needs no disk and still waits for the first.
TEST_F(AckAfterCommit, AcknowledgementsKeepTheOrderOfThePublishes_MQTT_4_6_0_2) {
    make_offline_subscriber();
    Client publisher(*shard_, "publisher", 0);
    ASSERT_EQ(publisher.next(), PacketType::connack);
    store_.hold();
    publisher.send(publish(QoS::at_least_once, 1));
    ByteBuffer unsubscribe;
    wire::Unsubscribe packet;
    packet.packet_id = 2;
    packet.filters = {"nothing"};
    wire::encode_unsubscribe(unsubscribe, Version::v5, packet);
    publisher.send(unsubscribe);
    publisher.expect_silence();
    store_.release();
    EXPECT_EQ(publisher.next(), PacketType::puback);
    EXPECT_EQ(publisher.next(), PacketType::unsuback);
}

}  // namespace
}  // namespace sluice::shard
