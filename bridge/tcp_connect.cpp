#include "bridge/tcp_connect.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace sluice::bridge {
namespace {

/// A connected socket, or a negative errno.
int connect_to(const addrinfo& address, Worker& worker, Steady::time_point deadline) {
    const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        error = await_socket(fd, POLLOUT, worker, deadline);
        socklen_t size = sizeof error;
        if (error == 0 && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    }
    if (error == 0) return fd;
    ::close(fd);
    return -error;
}

}  // namespace

int await_socket(int fd, short events, Worker& worker, Steady::time_point deadline) {
    for (;;) {
        if (worker.stopping()) return ECANCELED;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()).count();
        if (left <= 0) return ETIMEDOUT;
        std::array<pollfd, 2> waiting{{{fd, events, 0}, {worker.wake_fd(), POLLIN, 0}}};
        const int ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(left));
        if (ready < 0 && errno != EINTR) return errno;
        if (ready <= 0) continue;
        if (waiting[1].revents != 0) worker.clear_wake();
        if (waiting[0].revents != 0) return 0;
    }
}

Result<int, std::string> tcp_connect(const ServerAddress& server, Worker& worker,
                                     Steady::time_point deadline) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int problem =
        ::getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &found);
    if (problem != 0)
        return Err{fmt::format("cannot resolve '{}': {}", server.host, ::gai_strerror(problem))};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    int fd = -EHOSTUNREACH;
    for (const addrinfo* at = found; at && fd < 0; at = at->ai_next) fd = connect_to(*at, worker, deadline);
    if (fd < 0) return Err{fmt::format("cannot connect to {}: {}", to_text(server), std::strerror(-fd))};
    return fd;
}

}  // namespace sluice::bridge
