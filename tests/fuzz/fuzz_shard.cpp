/// Two shards and several clients, driven by the input: whole packets, broken ones, take-overs, lost
/// connections, commits that come late. Whatever happens:
/// - what a client is sent can be decoded, and is nothing that only clients send;
/// - a client that plays by the rules never has more unacknowledged messages than its Receive Maximum, nor a
///   packet id twice among them;
/// - afterwards two healthy clients exchange a message as if nothing had been.
#include <fuzzer/FuzzedDataProvider.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/hash.hpp"
#include "base/log.hpp"
#include "shard/shard.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::shard {
namespace {

using wire::PacketType;
using wire::QoS;
using wire::ReasonCode;
using wire::Version;

/// Commits when it is told to.
class HeldStore final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return store::Recovered{}; }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex shard, store::TurnNumber turn,
                    std::vector<core::LedgerEntry>) override {
        CHECK(turn > posted_[shard]);
        posted_[shard] = turn;
    }
    void post_load_queue(store::ShardIndex, core::SessionKey, core::RowId, std::size_t,
                         std::size_t) override {
        CHECK(false);  // queues stay far below their windows here
    }
    void post_find_oldest(store::ShardIndex, core::SessionKey, core::RowId, std::size_t) override {
        CHECK(false);  // nor are they ever full
    }
    store::StoreStats stats() const override { return {}; }

    store::TurnNumber posted(std::size_t shard) const { return posted_[shard]; }

  private:
    std::array<store::TurnNumber, 2> posted_{};
};

/// The client's end of one connection.
class Client {
  public:
    Client(Shard& shard, Admission admission)
        : version_(admission.version), receive_maximum_(admission.receive_maximum) {
        int fds[2] = {-1, -1};
        CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        fd_ = fds[0];
        admission.channel.fd = fds[1];
        shard.post_admission(std::move(admission));
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { ::close(fd_); }

    Version version() const { return version_; }
    void send(Bytes bytes) { (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    /// From now on nothing is expected of what it is sent but that it can be decoded.
    void send_wild(Bytes bytes) {
        plays_by_the_rules_ = false;
        send(bytes);
    }
    void read() {
        std::array<std::uint8_t, 65536> buffer;
        for (ssize_t n = 0; (n = ::recv(fd_, buffer.data(), buffer.size(), 0)) > 0;) {
            const auto fed =
                frames_.feed(Bytes(buffer).first(static_cast<std::size_t>(n)), [this](const auto& frame) {
                    receive(frame);
                    return true;
                });
            CHECK(fed.ok());
        }
    }
    /// Takes back one step of what it owes; false when it owes nothing.
    bool acknowledge() {
        if (owed_.empty()) return false;
        const auto [type, id] = owed_.front();
        owed_.erase(owed_.begin());
        ByteBuffer out;
        wire::encode_ack(out, version_, type, {.packet_id = id});
        send(out);
        if (type == PacketType::puback || type == PacketType::pubcomp) unacknowledged_.erase(id);
        return true;
    }

    std::size_t received(PacketType type) const { return counts_[static_cast<std::size_t>(type)]; }

  private:
    void receive(const wire::Frame& frame) {
        ++counts_[static_cast<std::size_t>(frame.type)];
        ByteBuffer scratch;
        switch (frame.type) {
            case PacketType::publish: {
                const auto packet = wire::decode_publish(version_, frame.flags, frame.body, scratch);
                CHECK(packet.ok());
                if (packet->qos != QoS::at_most_once) note_publish(*packet);
                break;
            }
            case PacketType::pubrel: {
                const auto packet = wire::decode_ack(version_, frame.type, frame.body);
                CHECK(packet.ok());
                owed_.emplace_back(PacketType::pubcomp, packet->packet_id);
                break;
            }
            case PacketType::puback:
            case PacketType::pubrec:
            case PacketType::pubcomp:
                CHECK(wire::decode_ack(version_, frame.type, frame.body).ok());
                break;
            case PacketType::connack:
                CHECK(wire::decode_connack(version_, frame.body).ok());
                break;
            case PacketType::suback:
                CHECK(wire::decode_suback(version_, frame.body).ok());
                break;
            case PacketType::unsuback:
                CHECK(wire::decode_unsuback(version_, frame.body).ok());
                break;
            case PacketType::disconnect:
                CHECK(version_ == Version::v5 && wire::decode_disconnect(version_, frame.body).ok());
                break;
            case PacketType::pingresp:
                break;
            default:
                CHECK(false);
        }
    }
    void note_publish(const wire::Publish& packet) {
        owed_.emplace_back(packet.qos == QoS::at_least_once ? PacketType::puback : PacketType::pubrec,
                           packet.packet_id);
        const bool is_new = unacknowledged_.insert(packet.packet_id).second;
        if (!plays_by_the_rules_) return;
        CHECK(is_new);
        CHECK(unacknowledged_.size() <= receive_maximum_);
    }

    int fd_ = -1;
    const Version version_;
    const std::size_t receive_maximum_;
    bool plays_by_the_rules_ = true;
    wire::FrameReader frames_{1 << 20};
    std::vector<std::pair<PacketType, wire::PacketId>> owed_;
    std::set<wire::PacketId> unacknowledged_;
    std::array<std::size_t, 16> counts_{};
};

constexpr std::array<std::string_view, 8> topics = {"a", "a/b", "a/b/c", "/", "b", "$x", "ok/1", "a//c"};
constexpr std::array<std::string_view, 14> filters = {
    "a", "a/#", "+/b",          "#",     "a/+/c",      "$x",          "+/+", "a//#",
    "/", "b/#", "$share/g/a/#", "a/#/b", "$share/g/#", "$share/h/+/b"};
constexpr std::array<std::string_view, 3> ids = {"one", "two", "three"};

class House {
  public:
    explicit House(FuzzedDataProvider& input) : input_(input), prompt_store_(input.ConsumeBool()) {
        Limits limits;
        limits.queue_messages_max = 6;
        limits.receive_maximum = 4;
        limits.queue_full =
            input.PickValueInArray({QueueFull::drop_oldest, QueueFull::drop_newest, QueueFull::reject});
        for (std::uint32_t i = 0; i < 2; ++i) {
            shards_[i] = std::make_unique<Shard>(
                i, SharedParts{&store_, &retained_, auth::make_allow_all_authorizer(), limits});
        }
        for (auto& shard : shards_) shard->set_peers({shards_[0]->as_peer(), shards_[1]->as_peer()});
    }
    ~House() {
        for (auto& shard : shards_) shard->post_stop();
        run();
    }

    void step() {
        auto& client = clients_[input_.ConsumeIntegralInRange<std::size_t>(0, clients_.size() - 1)];
        const int what = input_.ConsumeIntegralInRange(0, 11);
        if (what == 11 || !client) {
            connect(client);
        } else if (what == 10 && rarely()) {
            client->send_wild(
                input_.ConsumeBytes<std::uint8_t>(input_.ConsumeIntegralInRange<std::size_t>(1, 40)));
        } else if (what <= 3) {
            publish(*client);
        } else if (what <= 5) {
            subscribe(*client);
        } else if (what == 6) {
            while (client->acknowledge()) {
            }
        } else if (what == 7) {
            client->acknowledge();
        } else if (what == 8) {
            leave(client);
        } else if (what == 9) {
            unsubscribe(*client);
        } else {
            commit();
        }
        if (input_.ConsumeBool()) run();
        if (prompt_store_) settle();
    }

    void expect_health() {
        commit();
        run();
        Client subscriber(*shards_[0], admission("healthy subscriber"));
        Client publisher(*shards_[1], admission("healthy publisher"));
        ByteBuffer out;
        wire::Subscribe wanted;
        wanted.packet_id = 1;
        wanted.entries.push_back({.filter = "health", .qos = QoS::at_least_once});
        wire::encode_subscribe(out, Version::v5, wanted);
        subscriber.send(out);
        settle();
        out.clear();
        wire::Publish packet;
        packet.topic = "health";
        packet.qos = QoS::at_least_once;
        packet.packet_id = 1;
        wire::encode_publish(out, Version::v5, packet);
        publisher.send(out);
        settle();
        subscriber.read();
        publisher.read();
        CHECK(subscriber.received(PacketType::suback) == 1);
        CHECK(subscriber.received(PacketType::publish) == 1);
        CHECK(publisher.received(PacketType::puback) == 1);
    }

  private:
    void run() {
        for (bool busy = true; busy;) {
            busy = false;
            for (auto& shard : shards_) busy |= shard->run_ready();
        }
        for (auto& client : clients_)
            if (client) client->read();
    }
    void commit() {
        for (std::size_t i = 0; i < shards_.size(); ++i)
            if (store_.posted(i) > 0) shards_[i]->post_committed(store_.posted(i));
    }
    /// What happens next depends on commits of what happened before.
    void settle() {
        for (int i = 0; i < 4; ++i) {
            run();
            commit();
        }
        run();
    }
    static Admission admission(std::string_view id) {
        Admission admission;
        admission.client_id = std::string(id);
        return admission;
    }

    void connect(std::unique_ptr<Client>& client) {
        Admission wanted = admission(input_.PickValueInArray(ids));
        wanted.version = input_.PickValueInArray({Version::v3_1, Version::v3_1_1, Version::v5});
        wanted.clean_start = rarely();
        wanted.session_expiry_interval_s = rarely() ? 0 : 3600;
        wanted.receive_maximum = input_.PickValueInArray<std::uint16_t>({1, 2, 65535});
        wanted.maximum_packet_size =
            input_.PickValueInArray<std::uint32_t>({UINT32_MAX, UINT32_MAX, UINT32_MAX, 10, 30});
        const auto aliases = input_.PickValueInArray<std::uint16_t>({0, 1, 10});
        if (wanted.version == Version::v5) wanted.topic_alias_maximum = aliases;  // others cannot ask for any
        if (rarely()) {
            wanted.will = AdmittedWill{core::Message::freeze({.topic = input_.PickValueInArray(topics),
                                                              .qos = pick_qos(),
                                                              .retain = input_.ConsumeBool(),
                                                              .client_id = wanted.client_id}),
                                       input_.ConsumeBool() ? 60U : 0U};
        }
        auto& home = *shards_[stable_hash(wanted.client_id) % shards_.size()];
        client = std::make_unique<Client>(home, std::move(wanted));
    }
    bool rarely() { return input_.ConsumeIntegralInRange(0, 7) == 7; }
    QoS pick_qos() { return static_cast<QoS>(input_.ConsumeIntegralInRange(0, 2)); }
    wire::PacketId pick_id() { return input_.ConsumeIntegralInRange<wire::PacketId>(1, 6); }

    void publish(Client& client) {
        wire::Publish packet;
        packet.topic = input_.PickValueInArray(topics);
        packet.qos = pick_qos();
        packet.retain = input_.ConsumeBool();
        if (packet.qos != QoS::at_most_once) {
            packet.packet_id = pick_id();
            packet.dup = input_.ConsumeBool();
        }
        const std::string payload = input_.ConsumeRandomLengthString(20);
        packet.payload = as_bytes(std::string_view(payload));
        if (client.version() == Version::v5 && input_.ConsumeBool()) {
            packet.properties.topic_alias = input_.ConsumeIntegralInRange<std::uint16_t>(1, 3);
            if (input_.ConsumeBool()) packet.topic = {};
        }
        ByteBuffer out;
        wire::encode_publish(out, client.version(), packet);
        if (packet.qos == QoS::exactly_once && input_.ConsumeBool())
            wire::encode_ack(out, client.version(), PacketType::pubrel, {.packet_id = packet.packet_id});
        client.send(out);
    }
    void subscribe(Client& client) {
        wire::Subscribe packet;
        packet.packet_id = pick_id();
        for (int i = input_.ConsumeIntegralInRange(1, 3); i > 0; --i) {
            wire::SubscribeEntry entry{.filter = input_.PickValueInArray(filters), .qos = pick_qos()};
            if (client.version() == Version::v5) {
                entry.no_local = input_.ConsumeBool();
                entry.retain_as_published = input_.ConsumeBool();
                entry.retain_handling =
                    static_cast<wire::RetainHandling>(input_.ConsumeIntegralInRange(0, 2));
            }
            packet.entries.push_back(entry);
        }
        if (client.version() == Version::v5 && input_.ConsumeBool())
            packet.properties.subscription_identifiers.push_back(
                input_.ConsumeIntegralInRange<std::uint32_t>(1, 9));
        ByteBuffer out;
        wire::encode_subscribe(out, client.version(), packet);
        client.send(out);
    }
    void unsubscribe(Client& client) {
        wire::Unsubscribe packet;
        packet.packet_id = pick_id();
        packet.filters = {input_.PickValueInArray(filters)};
        ByteBuffer out;
        wire::encode_unsubscribe(out, client.version(), packet);
        client.send(out);
    }
    void leave(std::unique_ptr<Client>& client) {
        ByteBuffer out;
        if (input_.ConsumeBool()) wire::encode_disconnect(out, client->version(), {});
        client->send(out);
        client.reset();
    }

    FuzzedDataProvider& input_;
    const bool prompt_store_;  ///< commits at once, or only when the input says so
    HeldStore store_;
    core::RetainedIndex retained_{5, 2};
    std::array<std::unique_ptr<Shard>, 2> shards_;
    std::array<std::unique_ptr<Client>, 4> clients_;
};

}  // namespace
}  // namespace sluice::shard

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    static const bool quiet = [] {
        log::set_level(log::Level::error);
        return true;
    }();
    (void)quiet;
    FuzzedDataProvider input(data, size);
    shard::House house(input);
    while (input.remaining_bytes() > 0) house.step();
    house.expect_health();
    return 0;
}
