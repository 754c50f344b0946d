#pragma once
/// Some shards on the test's own thread, over a disk that commits when it is told to, and a kill -9 that
/// leaves nothing but what was committed.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/hash.hpp"
#include "shard/shard.hpp"
#include "store/memory_backend.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::shard::test {

class CrashDisk final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return backend_.open(ledger_); }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex shard, store::TurnNumber turn,
                    std::vector<core::LedgerEntry> batch) override {
        posted_.emplace_back(Batch{shard, turn, std::move(batch)});
    }
    void post_load_queue(store::ShardIndex shard, core::SessionKey session, core::RowId after,
                         std::size_t messages_max, std::size_t) override {
        posted_.emplace_back(Load{shard, session, after, messages_max});
    }
    void post_find_oldest(store::ShardIndex shard, core::SessionKey session, core::RowId after,
                          std::size_t rows_max) override {
        posted_.emplace_back(Load{shard, session, after, rows_max, true});
    }
    store::StoreStats stats() const override { return {}; }

    /// The first of what was posted becomes durable, in a commit of its own. False: nothing waits.
    bool commit_one(std::vector<std::unique_ptr<Shard>>& shards) {
        if (posted_.empty()) return false;
        auto first = std::move(posted_.front());
        posted_.pop_front();
        if (auto* batch = std::get_if<Batch>(&first)) {
            store::WriteGroup group;
            group.merge(batch->shard, batch->turn, std::move(batch->entries), ledger_);
            EXPECT_EQ(backend_.write(group, ledger_).state, store::IoState::done);
            shards[batch->shard]->post_committed(batch->turn);
        } else {
            load(std::get<Load>(first), shards);
        }
        return true;
    }
    /// What was not committed is gone.
    void lose_the_rest() { posted_.clear(); }

  private:
    struct Batch {
        store::ShardIndex shard;
        store::TurnNumber turn;
        std::vector<core::LedgerEntry> entries;
    };
    struct Load {
        store::ShardIndex shard;
        core::SessionKey session;
        core::RowId after;
        std::size_t messages_max;
        bool rows_only = false;
    };
    void load(const Load& load, std::vector<std::unique_ptr<Shard>>& shards) {
        std::vector<core::QueueEntry> entries;
        for (const core::RowId row : ledger_.open_rows(load.session, load.after, load.messages_max))
            EXPECT_EQ(backend_.read(row, load.session, entries.emplace_back()).state, store::IoState::done);
        const core::RowId last = entries.empty() ? load.after : entries.back().row;
        const bool exhausted = ledger_.open_rows(load.session, last, 1).empty();
        if (!load.rows_only) {
            shards[load.shard]->post_queue_loaded(load.session, std::move(entries), exhausted);
            return;
        }
        std::vector<core::StoredRow> rows;
        for (const core::QueueEntry& entry : entries)
            rows.push_back({entry.row, entry.message->body().size()});
        shards[load.shard]->post_oldest_found(load.session, std::move(rows), exhausted);
    }

    store::MemoryBackend backend_;
    store::SettleLedger ledger_;
    std::deque<std::variant<Batch, Load>> posted_;
};

class CrashHouse {
  public:
    explicit CrashHouse(
        std::size_t shards, Limits limits = {},
        std::shared_ptr<const auth::Authorizer> authorizer = auth::make_allow_all_authorizer())
        : limits_(limits), authorizer_(std::move(authorizer)) {
        start(shards);
    }

    /// The process ends here and now, and comes again with so many shards.
    void kill_and_start(std::size_t shards) {
        shards_.clear();
        disk_.lose_the_rest();
        start(shards);
    }
    /// As the broker places sessions, by the names of the clients and of the lanes.
    std::size_t home(std::string_view client_id) const {
        if (client_id.starts_with(bridge_session_prefix))
            return std::stoul(std::string(client_id.substr(client_id.rfind('/') + 1))) % shards_.size();
        return stable_hash(client_id) % shards_.size();
    }
    Shard& home_of(std::string_view client_id) { return *shards_[home(client_id)]; }
    Shard& shard(std::size_t index) { return *shards_[index]; }
    /// '0' to '9': a turn of that shard; 'c': one commit.
    core::RetainedIndex& retained() { return retained_; }
    void step(char what) {
        if (what == 'c') {
            disk_.commit_one(shards_);
        } else {
            shards_[static_cast<std::size_t>(what - '0') % shards_.size()]->run_ready();
        }
    }
    std::size_t notes_on_disk() {
        std::size_t count = 0;
        const auto recovered = disk_.open();  // of its own: a loop does not keep it alive
        for (const auto& session : recovered->sessions) count += session.arrivals.size();
        return count;
    }
    /// Those that keep something for others: of sessions that have ended, and of wills.
    std::size_t nameless_sessions_on_disk() {
        const auto recovered = disk_.open();
        return static_cast<std::size_t>(
            std::count_if(recovered->sessions.begin(), recovered->sessions.end(),
                          [](const auto& session) { return session.record.client_id.empty(); }));
    }
    /// Until there is nothing left to do; `attend` lets the clients act and says whether one did.
    template <class Attend>
    void settle(Attend&& attend) {
        for (bool busy = true; busy;) {
            busy = false;
            for (auto& shard : shards_) busy |= shard->run_ready();
            busy |= disk_.commit_one(shards_);
            busy |= attend();
        }
    }

  private:
    void start(std::size_t count) {
        const auto recovered = disk_.open();
        for (std::uint32_t i = 0; i < count; ++i)
            shards_.push_back(
                std::make_unique<Shard>(i, SharedParts{&disk_, &retained_, authorizer_, limits_, nullptr}));
        std::vector<shard::Peer> peers;
        for (const auto& shard : shards_) peers.push_back(shard->as_peer());
        for (const auto& shard : shards_) {
            shard->set_peers(peers);
            shard->set_used(recovered->session_key_max, recovered->row_max);
        }
        for (const auto& session : recovered->sessions) home_of(session.record.client_id).restore(session);
        for (const auto& shard : shards_) shard->tell_restored();
    }

    Limits limits_;
    std::shared_ptr<const auth::Authorizer> authorizer_;
    CrashDisk disk_;
    core::RetainedIndex retained_{100};
    std::vector<std::unique_ptr<Shard>> shards_;
};

/// A client with a session, which it keeps to the letter, also over connections and crashes of the broker.
class Client {
  public:
    Client(CrashHouse& house, std::string id) : house_(house), id_(std::move(id)) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { disconnect(); }

    const std::string& id() const { return id_; }
    /// Repeats what was not acknowledged. `will`: its payload, to the topic "t", QoS 2.
    void connect(bool clean_start = false, const std::string& will = {}) {
        disconnect();
        int fds[2] = {-1, -1};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        fd_ = fds[0];
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = id_;
        admission.clean_start = clean_start;
        admission.session_expiry_interval_s = brief_ ? 0 : 3600;
        if (brief_) admission.receive_maximum = 1;
        if (!will.empty()) {
            admission.will = AdmittedWill{core::Message::freeze({.topic = "t",
                                                                 .payload = as_bytes(std::string_view(will)),
                                                                 .qos = wire::QoS::exactly_once,
                                                                 .client_id = id_}),
                                          0};
        }
        house_.home_of(id_).post_admission(std::move(admission));
        frames_ = std::make_unique<wire::FrameReader>(1U << 20);
        if (clean_start) sent_.clear();
        for (const auto& [packet_id, message] : sent_) send_publish(packet_id, message, true);
    }
    /// From the next connection on it has no session beyond it, and takes one message at a time.
    void be_brief() { brief_ = true; }
    /// Without a word.
    void disconnect() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    void subscribe(std::string_view filter, wire::QoS qos) {
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = filter, .qos = qos});
        ByteBuffer out;
        wire::encode_subscribe(out, wire::Version::v5, packet);
        send(out);
    }
    /// QoS 2, to the topic "t".
    void publish(wire::PacketId packet_id, std::string payload, bool retain = false) {
        sent_[packet_id] = {std::move(payload), retain, false};
        send_publish(packet_id, sent_[packet_id], false);
    }
    /// Forgets that it ever sent this, as no client should.
    void give_up(wire::PacketId packet_id) { sent_.erase(packet_id); }
    /// Believes that it had a PUBREC for this.
    void take_as_received(wire::PacketId packet_id) { sent_.at(packet_id).released = true; }
    bool all_acknowledged() const { return sent_.empty(); }
    /// Of the last PUBREC.
    wire::ReasonCode last_code() const { return last_code_; }

    /// Reads and answers; whether there was anything.
    bool attend() {
        std::uint8_t buffer[65536];
        bool any = false;
        for (ssize_t n = 0; fd_ >= 0 && (n = ::recv(fd_, buffer, sizeof buffer, 0)) > 0; any = true) {
            const auto fed =
                frames_->feed(Bytes(buffer, static_cast<std::size_t>(n)), [&](const auto& frame) {
                    receive(frame);
                    return true;
                });
            EXPECT_TRUE(fed.ok());
        }
        return any;
    }
    /// How often that message came to the application.
    std::size_t copies(const std::string& payload) const {
        const auto found = got_.find(payload);
        return found == got_.end() ? 0 : found->second;
    }

  private:
    struct Sent {
        std::string payload;
        bool retain = false, released = false;
    };
    void send(const ByteBuffer& out) {
        if (fd_ >= 0) (void)::send(fd_, out.data(), out.size(), MSG_NOSIGNAL);
    }
    void send_publish(wire::PacketId packet_id, const Sent& message, bool dup) {
        if (message.released) return send_ack(wire::PacketType::pubrel, packet_id);
        wire::Publish packet;
        packet.topic = "t";
        packet.payload = as_bytes(std::string_view(message.payload));
        packet.qos = wire::QoS::exactly_once;
        packet.retain = message.retain;
        packet.packet_id = packet_id;
        packet.dup = dup;
        ByteBuffer out;
        wire::encode_publish(out, wire::Version::v5, packet);
        send(out);
    }
    void send_ack(wire::PacketType type, wire::PacketId packet_id) {
        ByteBuffer out;
        wire::encode_ack(out, wire::Version::v5, type, {.packet_id = packet_id});
        send(out);
    }
    void receive(const wire::Frame& frame) {
        if (frame.type == wire::PacketType::publish) return receive_publish(frame);
        if (frame.type != wire::PacketType::pubrec && frame.type != wire::PacketType::pubrel &&
            frame.type != wire::PacketType::pubcomp)
            return;
        const auto ack = wire::decode_ack(wire::Version::v5, frame.type, frame.body);
        ASSERT_TRUE(ack.ok());
        if (frame.type == wire::PacketType::pubrel) {
            incoming_.erase(ack->packet_id);
            return send_ack(wire::PacketType::pubcomp, ack->packet_id);
        }
        if (frame.type == wire::PacketType::pubcomp) {
            sent_.erase(ack->packet_id);
            return;
        }
        last_code_ = ack->code;
        if (is_error(ack->code)) {
            sent_.erase(ack->packet_id);
            return;
        }
        const auto found = sent_.find(ack->packet_id);
        if (found != sent_.end()) found->second.released = true;
        send_ack(wire::PacketType::pubrel, ack->packet_id);
    }
    void receive_publish(const wire::Frame& frame) {
        ByteBuffer scratch;
        const auto packet = wire::decode_publish(wire::Version::v5, frame.flags, frame.body, scratch);
        ASSERT_TRUE(packet.ok());
        const bool known =
            packet->qos == wire::QoS::exactly_once && !incoming_.insert(packet->packet_id).second;
        if (!known) ++got_[std::string(as_text(packet->payload))];
        if (packet->qos == wire::QoS::at_least_once) send_ack(wire::PacketType::puback, packet->packet_id);
        if (packet->qos == wire::QoS::exactly_once) send_ack(wire::PacketType::pubrec, packet->packet_id);
    }

    CrashHouse& house_;
    const std::string id_;
    bool brief_ = false;
    int fd_ = -1;
    std::unique_ptr<wire::FrameReader> frames_;
    std::map<wire::PacketId, Sent> sent_;
    std::set<wire::PacketId> incoming_;
    std::map<std::string, std::size_t> got_;
    wire::ReasonCode last_code_ = wire::ReasonCode::success;
};

}  // namespace sluice::shard::test
