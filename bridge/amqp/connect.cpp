#include <amqp_tcp_socket.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include "bridge/amqp/connection.hpp"
#include "bridge/amqp/reply_text.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr amqp_channel_t channel = 1;

timeval to_timeval(std::chrono::milliseconds duration) {
    return {duration.count() / 1000, (duration.count() % 1000) * 1000};
}

/// rabbitmq-c would connect without an ear for stop(), so the socket is made here.
/// Zero, or the errno of the attempt.
int await_connected(int fd, Worker& worker, Steady::time_point deadline) {
    for (;;) {
        if (worker.stopping()) return ECANCELED;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()).count();
        if (left <= 0) return ETIMEDOUT;
        std::array<pollfd, 2> waiting{{{fd, POLLOUT, 0}, {worker.wake_fd(), POLLIN, 0}}};
        if (::poll(waiting.data(), waiting.size(), static_cast<int>(left)) < 0 && errno != EINTR)
            return errno;
        worker.clear_wake();
        if (waiting[0].revents == 0) continue;
        int error = 0;
        socklen_t size = sizeof error;
        return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
    }
}

/// A connected socket, or a negative errno.
int connect_to(const addrinfo& address, Worker& worker, Steady::time_point deadline) {
    const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) error = await_connected(fd, worker, deadline);
    if (error == 0) return fd;
    ::close(fd);
    return -error;
}

amqp_table_entry_t capability(const char* name) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    entry.value.value.boolean = 1;
    return entry;
}

}  // namespace

Result<std::unique_ptr<Connection>, std::string> Connection::open(const AmqpSettings& settings,
                                                                  const ServerAddress& server, Worker& worker,
                                                                  Watchdog& watchdog) {
    std::unique_ptr<Connection> connection(new Connection(watchdog));
    auto done = connection->connect_socket(settings, server, worker);
    if (done) done = connection->log_in(settings, to_text(server));
    if (!done) return Err{done.error()};
    return connection;
}

Result<void, std::string> Connection::connect_socket(const AmqpSettings& settings,
                                                     const ServerAddress& server, Worker& worker) {
    const auto deadline = Steady::now() + settings.connect_timeout;
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
    fd_ = fd;
    state_ = amqp_new_connection();
    amqp_socket_t* socket = state_ ? amqp_tcp_socket_new(state_) : nullptr;
    if (!socket) return Err{std::string("out of memory")};
    amqp_tcp_socket_set_sockfd(socket, fd_);
    watchdog_.watch(fd_);
    return {};
}

Result<void, std::string> Connection::log_in(const AmqpSettings& settings, const std::string& server) {
    const timeval timeout = to_timeval(settings.connect_timeout);
    amqp_set_handshake_timeout(state_, &timeout);
    amqp_set_rpc_timeout(state_, &timeout);
    // What rabbitmq-c does not announce by itself, and the server then does not send.
    std::array<amqp_table_entry_t, 4> capabilities{capability("publisher_confirms"), capability("basic.nack"),
                                                   capability("connection.blocked"),
                                                   capability("authentication_failure_close")};
    std::array<amqp_table_entry_t, 2> properties{};
    properties[0].key = amqp_cstring_bytes("product");
    properties[0].value.kind = AMQP_FIELD_KIND_UTF8;
    properties[0].value.value.bytes = amqp_cstring_bytes("Sluice");
    properties[1].key = amqp_cstring_bytes("capabilities");
    properties[1].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[1].value.value.table = {static_cast<int>(capabilities.size()), capabilities.data()};
    const amqp_table_t table{static_cast<int>(properties.size()), properties.data()};
    const auto heartbeat_s =
        static_cast<int>(std::chrono::ceil<std::chrono::seconds>(settings.heartbeat).count());
    const auto reply = amqp_login_with_properties(
        state_, settings.virtual_host.c_str(), 1, AMQP_DEFAULT_FRAME_SIZE, heartbeat_s, &table,
        AMQP_SASL_METHOD_PLAIN, settings.user.c_str(), settings.password.c_str());
    if (const auto text = reply_text(reply); !text.empty())
        return Err{fmt::format("{} does not let user '{}' into virtual host '{}': {}", server, settings.user,
                               settings.virtual_host, text)};
    amqp_channel_open(state_, channel);
    if (const auto text = reply_text(amqp_get_rpc_reply(state_)); !text.empty())
        return Err{fmt::format("{} opens no channel: {}", server, text)};
    return {};
}

std::string Connection::check_exchange(const std::string& exchange) {
    amqp_exchange_declare(state_, channel, to_amqp(exchange), amqp_cstring_bytes("topic"), /*passive=*/1, 0,
                          0, 0, amqp_empty_table);
    return reply_text(amqp_get_rpc_reply(state_));
}

std::string Connection::start_confirms() {
    amqp_confirm_select(state_, channel);
    return reply_text(amqp_get_rpc_reply(state_));
}

Connection::~Connection() {
    watchdog_.forget();
    if (state_) {
        amqp_destroy_connection(state_);  // closes the socket
    } else if (fd_ >= 0) {
        ::close(fd_);
    }
}

}  // namespace sluice::bridge::amqp
