#pragma once
/// A shard on its own thread with a store that commits at once, and clients on socket pairs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "shard/shard.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::shard::test {

class InstantStore final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return store::Recovered{}; }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex, store::TurnNumber turn,
                    std::vector<core::LedgerEntry> batch) override {
        {
            const std::lock_guard lock(mutex_);
            for (core::LedgerEntry& entry : batch) {
                if (auto* cleared = std::get_if<core::ClearRetained>(&entry))
                    cleared_.push_back(std::move(*cleared));
                if (const auto* saved = std::get_if<core::SaveSession>(&entry))
                    keys_[saved->record.client_id] = saved->record.key;
                if (const auto* progress = std::get_if<core::SaveProgress>(&entry))
                    inbound_[progress->session] = progress->inbound_released;
            }
        }
        shard->post_committed(turn);
    }
    void post_load_queue(store::ShardIndex, core::SessionKey key, core::RowId, std::size_t,
                         std::size_t) override {
        shard->post_queue_loaded(key, {}, true);
    }
    void post_find_oldest(store::ShardIndex, core::SessionKey key, core::RowId, std::size_t) override {
        shard->post_oldest_found(key, {}, true);
    }
    store::StoreStats stats() const override { return {}; }

    std::vector<core::ClearRetained> cleared() {
        const std::lock_guard lock(mutex_);
        return cleared_;
    }

    /// The packet ids of QoS 2 messages from this client that were not released, as they were last saved.
    std::vector<wire::PacketId> inbound(const std::string& client_id) {
        const std::lock_guard lock(mutex_);
        return inbound_[keys_[client_id]];
    }

    Shard* shard = nullptr;

  private:
    std::mutex mutex_;
    std::vector<core::ClearRetained> cleared_;
    std::map<std::string, core::SessionKey> keys_;
    std::map<core::SessionKey, std::vector<wire::PacketId>> inbound_;
};

class RunningShard {
  public:
    explicit RunningShard(const Limits& limits, Millis retained_sweep = Millis(60'000)) : retained_(1000) {
        SharedParts parts{&store_, &retained_, auth::make_allow_all_authorizer(), limits, nullptr};
        parts.retained_sweep = retained_sweep;
        shard_ = std::make_unique<Shard>(0, parts);
        store_.shard = shard_.get();
        shard_->set_peers({shard_->as_peer()});
        thread_ = std::thread([this] { shard_->run(); });
    }
    ~RunningShard() { stop(); }
    void stop() {
        if (!thread_.joinable()) return;
        shard_->post_stop();
        thread_.join();
    }
    Shard& operator*() { return *shard_; }
    const Counters& counters() const { return std::as_const(*shard_).counters(); }
    core::RetainedIndex& retained() { return retained_; }
    InstantStore& store() { return store_; }

  private:
    InstantStore store_;
    core::RetainedIndex retained_;
    std::unique_ptr<Shard> shard_;
    std::thread thread_;
};

/// The client's end of a socket pair whose other end a shard has. Blocking, with a deadline for everything.
class Peer {
  public:
    static constexpr std::chrono::seconds patience{30};

    /// `all_it_says`, when not empty, has come before the shard looks for the first time, and so has the end
    /// behind it.
    explicit Peer(
        Shard& shard, std::string client_id,
        const std::function<void(Admission&)>& change = [](Admission&) {},
        const ByteBuffer& all_it_says = {}) {
        int fds[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        fd_ = fds[0];
        EXPECT_GE(::fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = std::move(client_id);
        change(admission);
        if (!all_it_says.empty()) {
            EXPECT_TRUE(send(all_it_says));
            EXPECT_EQ(::shutdown(fd_, SHUT_WR), 0);
        }
        shard.post_admission(std::move(admission));
        EXPECT_EQ(next(), wire::PacketType::connack);
    }
    ~Peer() { close(); }
    void close() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

    /// Nothing more comes from it; it still reads.
    void end_sending() { EXPECT_EQ(::shutdown(fd_, SHUT_WR), 0); }
    /// Blocks while the shard does not read; false when the connection has ended.
    bool send(const ByteBuffer& bytes) {
        std::size_t sent = 0;
        while (sent < bytes.size()) {
            const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) return false;
            sent += static_cast<std::size_t>(n);
        }
        return true;
    }
    /// What the socket takes at once of `bytes` from `sent` on.
    std::size_t send_some(const ByteBuffer& bytes, std::size_t sent) {
        const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        return n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    bool publish(std::string_view topic, std::string_view payload, wire::QoS qos = wire::QoS::at_most_once,
                 wire::PacketId id = 0) {
        ByteBuffer out;
        wire::encode_publish(out, wire::Version::v5,
                             {.topic = topic, .payload = as_bytes(payload), .qos = qos, .packet_id = id});
        return send(out);
    }
    void ack(wire::PacketId id) {
        ByteBuffer out;
        wire::encode_ack(out, wire::Version::v5, wire::PacketType::puback, {.packet_id = id});
        send(out);
    }
    void subscribe(std::string_view filter, wire::QoS qos) {
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = filter, .qos = qos});
        ByteBuffer out;
        wire::encode_subscribe(out, wire::Version::v5, packet);
        send(out);
        EXPECT_EQ(next(), wire::PacketType::suback);
    }
    /// The next packet; `on_frame` may look into it. Nothing when the connection has ended or time is up.
    std::optional<wire::PacketType> next(const std::function<void(const wire::Frame&)>& on_frame =
                                             [](const wire::Frame&) {}) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < deadline) {
            std::optional<wire::PacketType> type;
            const auto cut = frames_.feed({}, [&](const wire::Frame& frame) {
                type = frame.type;
                on_frame(frame);
                return false;
            });
            if (!cut) return std::nullopt;
            if (type) return type;
            pollfd poll_fd{fd_, POLLIN, 0};
            if (::poll(&poll_fd, 1, 100) <= 0) continue;
            std::uint8_t buffer[4096];
            const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
            if (n <= 0) return std::nullopt;
            // Only kept: the next round takes one frame of it.
            (void)frames_.feed(Bytes(buffer, static_cast<std::size_t>(n)), [&](const wire::Frame& frame) {
                type = frame.type;
                on_frame(frame);
                return false;
            });
            if (type) return type;
        }
        return std::nullopt;
    }
    /// Whether `bytes` more come, whatever they are; they are thrown away.
    bool takes(std::size_t bytes) {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (bytes > 0 && std::chrono::steady_clock::now() < deadline) {
            pollfd poll_fd{fd_, POLLIN, 0};
            if (::poll(&poll_fd, 1, 100) <= 0) continue;
            std::uint8_t buffer[65536];
            const ssize_t n = ::recv(fd_, buffer, std::min(bytes, sizeof buffer), 0);
            if (n <= 0) return false;
            bytes -= static_cast<std::size_t>(n);
        }
        return bytes == 0;
    }
    /// Whether something has come that was not taken yet.
    bool has_input() const {
        pollfd poll_fd{fd_, POLLIN, 0};
        return ::poll(&poll_fd, 1, 0) > 0;
    }
    /// The next PUBLISH, acknowledged when it asks for it.
    bool next_message() {
        wire::PacketId id = 0;
        const auto type = next([&](const wire::Frame& frame) {
            ByteBuffer scratch;
            const auto packet = wire::decode_publish(wire::Version::v5, frame.flags, frame.body, scratch);
            if (packet) id = packet->packet_id;
        });
        if (id != 0) ack(id);
        return type == wire::PacketType::publish;
    }

  private:
    int fd_ = -1;
    wire::FrameReader frames_{1 << 24};
};

/// Until `done` or a deadline; `pause` between two looks.
template <class Done>
bool wait_for(Done done, std::chrono::milliseconds pause = std::chrono::milliseconds(5)) {
    const auto deadline = std::chrono::steady_clock::now() + Peer::patience;
    while (!done()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(pause);
    }
    return true;
}

}  // namespace sluice::shard::test
