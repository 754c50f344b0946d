#include "peer.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.hpp"

namespace sluice::test {

Peer::Peer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    CHECK(fd_ >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw Mismatch("the broker does not accept a connection");
    // Each piece that a step is cut into shall leave by itself.
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Peer::~Peer() {
    close(false);
}

void Peer::send(Bytes bytes, const Cuts& cuts) {
    std::vector<std::size_t> sizes = cuts(bytes.size());
    sizes.push_back(bytes.size());
    for (std::size_t size : sizes) {
        Bytes piece = bytes.first(std::min(size, bytes.size()));
        bytes = bytes.subspan(piece.size());
        while (!piece.empty()) {
            const ssize_t count = ::send(fd_, piece.data(), piece.size(), MSG_NOSIGNAL);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) return;  // it has closed: what it said before is still to be read
            piece = piece.subspan(static_cast<std::size_t>(count));
        }
        // Gives the broker a chance to see this piece alone; nothing depends on whether it does.
        if (!bytes.empty()) ::sched_yield();
    }
}

bool Peer::receive() {
    if (ended_) return false;
    if (fd_ < 0) throw Mismatch("vector: this connection is closed");
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(patience).count()));
    if (ready == 0) throw Mismatch("nothing came in time");
    std::uint8_t block[65536];
    const ssize_t count = ::recv(fd_, block, sizeof block, 0);
    if (count < 0 && errno == EINTR) return true;
    // A reset is an end too: the server closed while bytes of ours were under way to it.
    ended_ = count <= 0;
    if (count > 0) append(received_, Bytes(block, static_cast<std::size_t>(count)));
    return !ended_;
}

std::optional<Json> Peer::next(ByteBuffer& raw) {
    while (true) {
        std::size_t size = 0;
        if (auto packet = decode_packet(level, received_, size)) {
            const auto end = received_.begin() + static_cast<std::ptrdiff_t>(size);
            raw.assign(received_.begin(), end);
            received_.erase(received_.begin(), end);
            return packet;
        }
        if (receive()) continue;
        if (!received_.empty()) throw Mismatch("the server closed in the middle of a packet");
        return std::nullopt;
    }
}

ByteBuffer Peer::next_bytes(std::size_t count) {
    while (received_.size() < count && receive()) {
    }
    const auto end = received_.begin() + static_cast<std::ptrdiff_t>(std::min(count, received_.size()));
    ByteBuffer taken(received_.begin(), end);
    received_.erase(received_.begin(), end);
    return taken;
}

void Peer::half_close() {
    ::shutdown(fd_, SHUT_WR);
}

void Peer::close(bool reset) {
    if (fd_ < 0) return;
    const linger at_once{1, 0};
    if (reset) ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(fd_);
    fd_ = -1;
}

}  // namespace sluice::test
