#include <amqp_tcp_socket.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "bridge/amqp/connection.hpp"
#include "bridge/amqp/reply_text.hpp"
#include "bridge/tcp_connect.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr amqp_channel_t publishing = 1, asking = 2;

timeval to_timeval(std::chrono::milliseconds duration) {
    return {duration.count() / 1000, (duration.count() % 1000) * 1000};
}

/// Whom a connected socket reached, as an address.
std::string numeric_peer(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    std::array<char, NI_MAXHOST> text{};
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0)
        ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST);
    return text.data();
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
                                                                  Watchdog& watchdog,
                                                                  amqp_channel_t channels) {
    std::unique_ptr<Connection> connection(new Connection(watchdog));
    auto done = connection->connect_socket(settings, server, worker);
    if (done) done = connection->log_in(settings, to_text(server), channels);
    if (!done) return Err{done.error()};
    return connection;
}

Result<void, std::string> Connection::connect_socket(const AmqpSettings& settings,
                                                     const ServerAddress& server, Worker& worker) {
    const auto deadline = Steady::now() + settings.connect_timeout;
    // rabbitmq-c would connect without an ear for stop().
    const auto fd = tcp_connect(server, worker, deadline);
    if (!fd) return Err{fd.error()};
    std::string problem_text;
    if (settings.tls.enabled()) {
        // rabbitmq-c's TLS socket connects by itself, and while it does nobody can break it off. So we look
        // first whether the address answers; what follows is quick, and the handshake is the watchdog's.
        const std::string numeric = numeric_peer(*fd);
        ::close(*fd);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now());
        problem_text = open_tls(settings, server, numeric, std::max(left, std::chrono::milliseconds(100)));
    } else {
        problem_text = open_plain(*fd);
    }
    if (!problem_text.empty()) return Err{std::move(problem_text)};
    return {};
}

std::string Connection::open_plain(int fd) {
    fd_ = fd;
    state_ = amqp_new_connection();
    amqp_socket_t* socket = state_ ? amqp_tcp_socket_new(state_) : nullptr;
    if (!socket) return "out of memory";
    amqp_tcp_socket_set_sockfd(socket, fd_);
    watchdog_.watch(fd_);
    return {};
}

std::string Connection::open_tls(const AmqpSettings& settings, const ServerAddress& server,
                                 const std::string& numeric_host, std::chrono::milliseconds timeout) {
    // Files are replaced while we live.
    if (auto checked = check_tls(settings.tls); !checked) return checked.error();
    state_ = amqp_new_connection();
    if (!state_) return "out of memory";
    tls_ = std::make_unique<TlsSocket>(server.host, watchdog_);
    auto problem = tls_->open(state_, settings.tls, numeric_host, server.port, timeout);
    if (!problem.empty()) return fmt::format("{}: {}", to_text(server), problem);
    fd_ = amqp_get_sockfd(state_);
    return {};
}

Result<void, std::string> Connection::log_in(const AmqpSettings& settings, const std::string& server,
                                             amqp_channel_t channels) {
    const timeval timeout = to_timeval(settings.connect_timeout);
    amqp_set_handshake_timeout(state_, &timeout);
    amqp_set_rpc_timeout(state_, &timeout);
    // What rabbitmq-c does not announce by itself, and the server then does not send.
    std::array<amqp_table_entry_t, 5> capabilities{
        capability("publisher_confirms"), capability("basic.nack"), capability("connection.blocked"),
        capability("consumer_cancel_notify"), capability("authentication_failure_close")};
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
    const bool external = settings.sasl == Sasl::external;
    // With EXTERNAL the last argument is ignored, and the one before is whom we want to be: RabbitMQ looks at
    // the certificate alone, and rabbitmq-c cannot send an empty one.
    const auto reply = amqp_login_with_properties(
        state_, settings.virtual_host.c_str(), channels, AMQP_DEFAULT_FRAME_SIZE, heartbeat_s, &table,
        external ? AMQP_SASL_METHOD_EXTERNAL : AMQP_SASL_METHOD_PLAIN, settings.user.c_str(),
        settings.password.c_str());
    if (const auto text = reply_text(reply); !text.empty()) return Err{login_problem(settings, server, text)};
    if (const int possible = amqp_get_channel_max(state_); possible != 0 && possible < channels)
        return Err{
            fmt::format("{} allows {} channels on a connection; {} are needed", server, possible, channels)};
    return {};
}

std::string Connection::login_problem(const AmqpSettings& settings, const std::string& server,
                                      const std::string& text) {
    // TLS 1.3: what the server thinks of our certificate comes after the handshake.
    if (const auto alert = tls_ ? tls_->alert() : std::string(); !alert.empty())
        return fmt::format("{}: {}", server, alert);
    if (amqp_get_server_properties(state_)->num_entries == 0)
        return fmt::format("{} does not greet: {}{}", server, text,
                           tls_ ? "" : "; perhaps its port wants `tls`");
    const auto who = settings.sasl == Sasl::external
                         ? fmt::format("the certificate {}", settings.tls.certificate)
                         : fmt::format("user '{}'", settings.user);
    return fmt::format("{} does not let {} into virtual host '{}': {}", server, who, settings.virtual_host,
                       text);
}

std::string Connection::open_channel(amqp_channel_t number) {
    amqp_channel_open(state_, number);
    const CallResult result = call_result(number);
    return result.problem.empty() ? "" : fmt::format("the server opens no channel: {}", result.problem);
}

Connection::CallResult Connection::check_exchange(const std::string& exchange) {
    const Watchdog::Sending sending(watchdog_);
    amqp_exchange_declare(state_, asking, to_amqp(exchange), amqp_cstring_bytes("topic"), /*passive=*/1, 0, 0,
                          0, amqp_empty_table);
    CallResult result = call_result(asking);
    if (result.code == 0) return result;
    if (auto problem = open_channel(asking); !problem.empty()) return {std::move(problem), 0};
    return result;
}

std::string Connection::start_confirms() {
    amqp_confirm_select(state_, publishing);
    return reply_text(amqp_get_rpc_reply(state_));
}

Connection::~Connection() {
    watchdog_.forget();
    tls_.reset();
    if (state_) {
        amqp_destroy_connection(state_);  // closes the socket
    } else if (fd_ >= 0) {
        ::close(fd_);
    }
}

}  // namespace sluice::bridge::amqp
