#include "tests/unit/net/socket_support.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>

#include "base/check.hpp"

namespace sluice::net::test {

void PlainEnd::close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}
void PlainEnd::shut_writing() {
    ::shutdown(fd_, SHUT_WR);
}
void PlainEnd::write(std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}
std::string PlainEnd::read(std::size_t bytes) {
    std::string out(bytes, '\0');
    std::size_t got = 0;
    while (got < bytes) {
        const ssize_t n = ::recv(fd_, out.data() + got, bytes - got, 0);
        if (n <= 0) break;
        got += static_cast<std::size_t>(n);
    }
    out.resize(got);
    return out;
}
std::string PlainEnd::read_to_end() {
    std::string out;
    for (std::string part = read(4096); !part.empty(); part = read(4096)) out += part;
    return out;
}
std::string PlainEnd::read_available() {
    std::string out(256 * 1024, '\0');
    const ssize_t n = ::recv(fd_, out.data(), out.size(), MSG_DONTWAIT);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return out;
}
void PlainEnd::set_receive_buffer(int bytes) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

Pair unix_pair(boost::asio::io_context& context) {
    std::array<int, 2> fds{};
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    return {Channel::Socket(context, {AF_UNIX, 0}, fds[0]), PlainEnd(fds[1])};
}

Pair tcp_pair(boost::asio::io_context& context) {
    const int acceptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    CHECK(::bind(acceptor, any, size) == 0 && ::listen(acceptor, 1) == 0);
    CHECK(::getsockname(acceptor, any, &size) == 0);
    const int far = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(::connect(far, any, size) == 0);
    const int near = ::accept4(acceptor, nullptr, nullptr, SOCK_CLOEXEC);
    CHECK(near >= 0);
    ::close(acceptor);
    return {Channel::Socket(context, {AF_INET, IPPROTO_TCP}, near), PlainEnd(far)};
}

bool run_until(boost::asio::io_context& context, const std::function<bool()>& condition,
               std::chrono::milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        if (context.stopped()) context.restart();
        context.run_one_for(10ms);
    }
    return true;
}

std::string pattern(std::size_t bytes, unsigned seed) {
    std::string out(bytes, '\0');
    std::uint32_t x = seed * 2654435761U + 1;
    for (char& c : out) {
        x = x * 1664525U + 1013904223U;
        c = static_cast<char>(x >> 24);
    }
    return out;
}

}  // namespace sluice::net::test
