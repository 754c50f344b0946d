#include "client.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <system_error>

namespace bench {

std::uint64_t now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

Loop::~Loop() {
    ::close(epoll_);
}

namespace {

void control(int epoll, int operation, int descriptor, Client* client, bool for_write) {
    epoll_event event{};
    event.events = EPOLLIN | (for_write ? EPOLLOUT : 0U);
    event.data.ptr = client;
    if (epoll_ctl(epoll, operation, descriptor, &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

}  // namespace

void Loop::watch(int descriptor, Client* client, bool for_write) {
    control(epoll_, EPOLL_CTL_ADD, descriptor, client, for_write);
}

void Loop::rewatch(int descriptor, Client* client, bool for_write) {
    control(epoll_, EPOLL_CTL_MOD, descriptor, client, for_write);
}

void Loop::forget(int descriptor) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

bool Loop::turn(int timeout_ms) {
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_, events.data(), events.size(), timeout_ms);
    for (int i = 0; i < count; ++i) {
        if (auto* client = static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr))
            client->on_ready();
    }
    flush();
    return count > 0;
}

void Loop::write_soon(Client& client) {
    if (client.dirty_) return;
    client.dirty_ = true;
    dirty_.push_back(&client);
}

void Loop::flush() {
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
        dirty_[i]->dirty_ = false;
        dirty_[i]->flush();
    }
    dirty_.clear();
}

Client::Client(Loop& loop, Handler& handler, std::uint16_t port, SSL_CTX* context, SSL_SESSION* session)
    : loop_(loop), handler_(handler), transport_(port, context, session), ready_(context == nullptr) {
    loop_.watch(transport_.descriptor(), this, false);
    if (!ready_) on_ready();
}

Client::~Client() {
    loop_.forget(transport_.descriptor());
}

void Client::on_ready() {
    if (!ready_) {
        if (!transport_.finish_handshake()) return;
        ready_ = true;
    }
    flush();
    read();
}

void Client::read() {
    static std::array<char, 256 * 1024> buffer;
    for (;;) {
        const auto [outcome, bytes] = transport_.read(buffer);
        if (outcome == Transport::Outcome::would_block) return;
        if (outcome == Transport::Outcome::closed) throw std::runtime_error("the broker closed a connection");
        std::string_view fresh(buffer.data(), bytes);
        if (!rest_.empty()) {
            rest_ += fresh;
            rest_.erase(0, handle(rest_));
        } else {
            const std::size_t used = handle(fresh);
            rest_.assign(fresh.substr(used));
        }
        // A plain socket that gave less has no more; TLS may hold further records.
        if (bytes < buffer.size() && !transport_.encrypted()) return;
    }
}

std::size_t Client::handle(std::string_view bytes) {
    std::size_t used = 0;
    for (;;) {
        const Packet packet = parse_packet(bytes.substr(used));
        if (packet.size == 0) return used;
        used += packet.size;
        handler_.on_packet(*this, packet);
    }
}

void Client::flush() {
    if (!ready_) return;
    while (sent_ < out_.size()) {
        const auto [outcome, bytes] = transport_.write({out_.data() + sent_, out_.size() - sent_});
        if (outcome == Transport::Outcome::closed) throw std::runtime_error("the broker closed a connection");
        if (outcome == Transport::Outcome::would_block) break;
        sent_ += bytes;
    }
    const bool all_sent = sent_ == out_.size();
    if (all_sent) {
        out_.clear();
        sent_ = 0;
    }
    if (all_sent == watches_write_) {
        watches_write_ = !all_sent;
        loop_.rewatch(transport_.descriptor(), this, watches_write_);
    }
}

}  // namespace bench
