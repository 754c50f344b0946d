#include "tests/system/attackers.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace sluice::test {

Attackers::Attackers(std::uint16_t port, Plan plan)
    : port_(port), plan_(std::move(plan)), all_(static_cast<std::size_t>(plan_.count)) {
    thread_ = std::thread([this] { run(); });
}

Attackers::~Attackers() {
    over_ = true;
    thread_.join();
    for (One& one : all_)
        if (one.socket >= 0) ::close(one.socket);
}

void Attackers::run() {
    for (One& one : all_) come(one);
    while (!over_) {
        bool moved = false;
        for (std::size_t i = 0; i < all_.size() && !over_; ++i) {
            One& one = all_[i];
            if (one.socket < 0) continue;
            moved |= send_some(static_cast<int>(i), one);
            if (one.socket >= 0) moved |= read_some(one);
        }
        if (!moved) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void Attackers::come(One& one) const {
    one = One{};
    one.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (one.socket >= 0 && ::connect(one.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        ::close(std::exchange(one.socket, -1));
}

void Attackers::leave(One& one) {
    ++thrown_out_;
    ::close(std::exchange(one.socket, -1));
    if (plan_.comes_back) {
        if (one.done) --done_;
        come(one);
    }
}

bool Attackers::send_some(int who, One& one) {
    if (one.done) return false;
    if (one.sent == one.out.size()) {
        one.out = plan_.next(who, one.turn++);
        one.sent = 0;
        if (one.out.empty()) {
            one.done = true;
            ++done_;
            return true;
        }
    }
    // A little of each, so that they all hold something.
    const std::size_t most = std::min<std::size_t>(one.out.size() - one.sent, 64 * 1024);
    const ssize_t n = ::send(one.socket, one.out.data() + one.sent, most, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
        one.sent += static_cast<std::size_t>(n);
        sent_bytes_ += static_cast<std::uint64_t>(n);
        return true;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
    leave(one);
    return true;
}

bool Attackers::read_some(One& one) {
    std::array<char, 16 * 1024> buffer;
    // One that does not read looks only whether the connection is still there.
    const int flags = MSG_DONTWAIT | (plan_.reads ? 0 : MSG_PEEK);
    const ssize_t n = ::recv(one.socket, buffer.data(), plan_.reads ? buffer.size() : 1, flags);
    if (n > 0) return plan_.reads;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
    leave(one);
    return true;
}

}  // namespace sluice::test
