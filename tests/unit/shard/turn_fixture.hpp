#pragma once
/// Shards without threads, whose turns run when the test says so, over a store that commits when told.
#include "tests/unit/shard/shard_fixture.hpp"

namespace sluice::shard::test {

class HeldStore final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return store::Recovered{}; }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex shard, store::TurnNumber turn,
                    std::vector<core::LedgerEntry>) override {
        posted[shard] = turn;
    }
    void post_load_queue(store::ShardIndex, core::SessionKey, core::RowId, std::size_t,
                         std::size_t) override {}
    void post_find_oldest(store::ShardIndex, core::SessionKey, core::RowId, std::size_t) override {}
    store::StoreStats stats() const override { return {}; }

    std::map<store::ShardIndex, store::TurnNumber> posted;
};

/// The client's end of a socket pair, never blocking: what came is looked at after turns.
class QuietPeer {
  public:
    QuietPeer(
        Shard& shard, std::string client_id,
        const std::function<void(Admission&)>& change = [](Admission&) {}) {
        int fds[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        fd_ = fds[0];
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = std::move(client_id);
        change(admission);
        version_ = admission.version;
        shard.post_admission(std::move(admission));
    }
    ~QuietPeer() { close(); }
    QuietPeer(const QuietPeer&) = delete;
    QuietPeer& operator=(const QuietPeer&) = delete;

    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    void send(const ByteBuffer& bytes) {
        EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    }
    /// How many of `bytes` from `sent` on the socket takes now.
    std::size_t send_some(const ByteBuffer& bytes, std::size_t sent) {
        const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    void publish(std::string_view topic, wire::QoS qos, wire::PacketId id) {
        ByteBuffer out;
        wire::encode_publish(out, version_,
                             {.topic = topic, .payload = as_bytes("x"), .qos = qos, .packet_id = id});
        send(out);
    }
    void subscribe(std::string_view filter) {
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = filter, .qos = wire::QoS::exactly_once});
        ByteBuffer out;
        wire::encode_subscribe(out, version_, packet);
        send(out);
    }
    /// The types of the packets that came since the last call.
    std::vector<wire::PacketType> take() {
        std::vector<wire::PacketType> types;
        std::uint8_t buffer[4096];
        for (ssize_t n = 0; (n = ::recv(fd_, buffer, sizeof buffer, 0)) > 0;) {
            (void)frames_.feed(Bytes(buffer, static_cast<std::size_t>(n)), [&](const wire::Frame& frame) {
                types.push_back(frame.type);
                if (frame.type == wire::PacketType::connack) {
                    const auto connack = wire::decode_connack(version_, frame.body);
                    EXPECT_TRUE(connack.ok());
                    if (!connack) return true;
                    connack_code = connack->code;
                    maximum_packet_size = connack->properties.maximum_packet_size.value_or(0);
                }
                return true;
            });
        }
        return types;
    }
    // Of CONNACK.
    wire::ReasonCode connack_code = wire::ReasonCode::unspecified_error;
    std::uint32_t maximum_packet_size = 0;

  private:
    int fd_ = -1;
    wire::Version version_ = wire::Version::v5;
    wire::FrameReader frames_{1 << 20};
};

inline void persistent(Admission& admission) {
    admission.clean_start = false;
    admission.session_expiry_interval_s = 3600;
}

class TurnByTurn : public testing::Test {
  protected:
    using Types = std::vector<wire::PacketType>;

    explicit TurnByTurn(std::size_t count = 1, const Limits& limits = {}) {
        const SharedParts parts{&store_, &retained_, auth::make_allow_all_authorizer(), limits};
        std::vector<shard::Peer> peers;
        for (std::size_t i = 0; i < count; ++i) {
            shards_.push_back(std::make_unique<Shard>(static_cast<store::ShardIndex>(i), parts));
            peers.push_back(shards_.back()->as_peer());
        }
        for (auto& shard : shards_) shard->set_peers(peers);
    }
    ~TurnByTurn() override {
        for (auto& shard : shards_) shard->post_stop();
        run();
    }
    /// All that can be done without the disk.
    void run() {
        for (bool busy = true; busy;) {
            busy = false;
            for (auto& shard : shards_) busy |= shard->run_ready();
        }
    }
    void commit() {
        for (const auto& [shard, turn] : store_.posted) shards_[shard]->post_committed(turn);
        run();
    }
    Shard& shard(std::size_t i = 0) { return *shards_[i]; }

    HeldStore store_;
    core::RetainedIndex retained_{100};
    std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace sluice::shard::test
