#include "bridge/amqp1/connection.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <proton/connection.h>
#include <proton/logger.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/transport.h>

#include <algorithm>
#include <array>

#include "bridge/amqp1/proton.hpp"

namespace sluice::bridge::amqp1 {
namespace {

using std::chrono::milliseconds;

constexpr int rounds_max = 32;  ///< of an exchange, before others have their turn
constexpr std::uint32_t frame_bytes_max = 64 * 1024;
constexpr milliseconds goodbye_max{1000};

std::int64_t clock_ms() {
    return std::chrono::duration_cast<milliseconds>(Steady::now().time_since_epoch()).count();
}

/// While a connection opens there are no links yet.
class NoLinks final : public LinkEvents {
  public:
    void on_link_opened(pn_link_t*) override {}
    void on_link_closed(pn_link_t*) override {}
    void on_session_ended(pn_condition_t*) override {}
    void on_delivery(pn_delivery_t*) override {}
};

}  // namespace

Connection::Connection(const Amqp1Settings& settings, const ServerAddress& server)
    : settings_(settings), server_(server) {}

Connection::~Connection() {
    if (driver_.connection) pn_connection_driver_destroy(&driver_);
}

Result<std::unique_ptr<Connection>, std::string> Connection::open(const Amqp1Settings& settings,
                                                                  const ServerAddress& server,
                                                                  const std::string& container,
                                                                  Worker& worker) {
    const auto deadline = Steady::now() + settings.connect_timeout;
    std::unique_ptr<Connection> connection(new Connection(settings, server));
    auto socket = ClientSocket::open(server, settings.tls, worker, deadline);
    if (!socket) return Err{socket.error()};
    connection->socket_ = std::move(socket).value();
    auto done = connection->start(container);
    if (done) done = connection->await_opened(worker, deadline);
    if (!done) return Err{done.error()};
    return connection;
}

Result<void, std::string> Connection::start(const std::string& container) {
    if (pn_connection_driver_init(&driver_, nullptr, nullptr) != 0) return Err{std::string("out of memory")};
    // It would write to standard error, also what the server says.
    pn_logger_reset_mask(pn_transport_logger(driver_.transport), PN_SUBSYSTEM_ALL, PN_LEVEL_ALL);
    pn_connection_t* connection = driver_.connection;
    const std::string& host = settings_.virtual_host.empty() ? server_.host : settings_.virtual_host;
    pn_connection_set_container(connection, container.c_str());
    pn_connection_set_hostname(connection, host.c_str());
    const auto mechanism = sasl_mechanism(settings_);
    if (!mechanism) return Err{mechanism.error()};
    if (!settings_.user.empty()) {
        pn_connection_set_user(connection, settings_.user.c_str());
        pn_connection_set_password(connection, settings_.password.c_str());
    }
    pn_sasl_t* sasl = pn_sasl(driver_.transport);
    pn_sasl_allowed_mechs(sasl, *mechanism);
    pn_sasl_set_allow_insecure_mechs(sasl, true);  // Proton does not know that the bytes go through TLS
    pn_transport_set_max_frame(driver_.transport, frame_bytes_max);
    // Half of it is what Proton tells the server to keep to.
    pn_transport_set_idle_timeout(driver_.transport,
                                  static_cast<pn_millis_t>(settings_.heartbeat.count() * 2));
    pn_connection_driver_bind(&driver_);
    pn_connection_open(connection);
    session_ = pn_session(connection);
    pn_session_open(session_);
    return {};
}

Result<void, std::string> Connection::await_opened(Worker& worker, Steady::time_point deadline) {
    NoLinks nobody;
    for (;;) {
        const bool alive = exchange(nobody);
        if (!alive) return Err{why_};
        if (opened_) return {};
        if (worker.stopping()) return Err{std::string("stopped")};
        const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now());
        if (left.count() <= 0)
            return Err{fmt::format("{} does not answer within {} s", to_text(server_),
                                   settings_.connect_timeout.count() / 1000)};
        wait(worker, left);
    }
}

bool Connection::exchange(LinkEvents& events) {
    if (!why_.empty()) return false;
    has_more_ = true;
    for (int round = 0; round < rounds_max && why_.empty(); ++round) {
        const bool received = receive();
        dispatch(events);
        const bool sent = flush();
        if (!received && !sent) {
            has_more_ = false;
            break;
        }
    }
    tick_at_ms_ = pn_transport_tick(driver_.transport, clock_ms());
    dispatch(events);
    flush();
    dispatch(events);
    return why_.empty();
}

bool Connection::receive() {
    const pn_rwbytes_t room = pn_connection_driver_read_buffer(&driver_);
    if (room.size == 0) return false;
    std::size_t got = 0;
    switch (socket_->read({reinterpret_cast<std::uint8_t*>(room.start), room.size}, got)) {
        case ClientSocket::Moved::some:
            pn_connection_driver_read_done(&driver_, got);
            return true;
        case ClientSocket::Moved::none:
            return false;
        case ClientSocket::Moved::closed:
        case ClientSocket::Moved::lost:
            pn_connection_driver_read_close(&driver_);
            return true;
    }
    return false;
}

bool Connection::flush() {
    bool any = false;
    for (;;) {
        const pn_bytes_t bytes = pn_connection_driver_write_buffer(&driver_);
        if (bytes.size == 0) return any;
        std::size_t sent = 0;
        const auto moved = socket_->write(as_bytes(from_pn(bytes)), sent);
        if (moved == ClientSocket::Moved::none) return any;
        if (moved != ClientSocket::Moved::some) {
            pn_connection_driver_write_close(&driver_);
            return any;
        }
        pn_connection_driver_write_done(&driver_, sent);
        any = true;
    }
}

void Connection::dispatch(LinkEvents& events) {
    while (pn_event_t* event = pn_connection_driver_next_event(&driver_)) take_event(event, events);
}

void Connection::take_event(pn_event_t* event, LinkEvents& events) {
    switch (pn_event_type(event)) {
        case PN_CONNECTION_REMOTE_OPEN:
            opened_ = true;
            note_product();
            break;
        case PN_CONNECTION_REMOTE_CLOSE: {
            const auto text = condition_text(pn_connection_remote_condition(driver_.connection));
            lose(fmt::format("the server closed the connection{}{}", text.empty() ? "" : ": ", text));
            pn_connection_close(driver_.connection);
            break;
        }
        case PN_SESSION_REMOTE_CLOSE: {
            pn_condition_t* condition = pn_session_remote_condition(session_);
            events.on_session_ended(condition);
            const auto text = condition_text(condition);
            lose(fmt::format("the server ended the session{}{}", text.empty() ? "" : ": ", text));
            pn_connection_close(driver_.connection);
            break;
        }
        case PN_TRANSPORT_ERROR:
        case PN_TRANSPORT_CLOSED:
            lose(transport_problem());
            break;
        case PN_LINK_REMOTE_OPEN:
            events.on_link_opened(pn_event_link(event));
            break;
        case PN_LINK_REMOTE_CLOSE:
        case PN_LINK_REMOTE_DETACH:
            events.on_link_closed(pn_event_link(event));
            break;
        case PN_DELIVERY:
            events.on_delivery(pn_event_delivery(event));
            break;
        default:
            break;
    }
}

void Connection::note_product() {
    pn_data_t* properties = pn_connection_remote_properties(driver_.connection);
    pn_data_rewind(properties);
    if (!pn_data_next(properties) || pn_data_type(properties) != PN_MAP || !pn_data_enter(properties)) return;
    while (pn_data_next(properties)) {
        const bool is_product = from_pn(pn_data_get_bytes(properties)) == "product";
        if (!pn_data_next(properties)) break;
        if (is_product) product_ = from_pn(pn_data_get_bytes(properties));
    }
}

void Connection::lose(std::string why) {
    if (why_.empty()) why_ = std::move(why);
}

std::string Connection::transport_problem() {
    pn_condition_t* condition = pn_transport_condition(driver_.transport);
    const auto text = condition_text(condition);
    if (text.find("idle-timeout") != std::string::npos)
        return fmt::format("no sign of life from {} for {} s", to_text(server_),
                           settings_.heartbeat.count() * 2 / 1000);
    if (condition_name(condition) == "amqp:unauthorized-access")
        return fmt::format("{} does not let {} in: {}", to_text(server_),
                           settings_.user.empty() ? "us" : fmt::format("user '{}'", settings_.user), text);
    if (!socket_->problem().empty()) return fmt::format("{}: {}", to_text(server_), socket_->problem());
    if (pn_connection_driver_read_closed(&driver_) && text.find("aborted") != std::string::npos)
        return fmt::format("{} closed the connection{}", to_text(server_),
                           opened_ ? "" : " before it let us in");
    return fmt::format("{}: {}", to_text(server_), text.empty() ? "the connection was closed" : text);
}

void Connection::wait(Worker& worker, milliseconds longest) {
    if (tick_at_ms_ != 0) longest = std::min(longest, milliseconds(tick_at_ms_ - clock_ms() + 1));
    if (has_more_) longest = milliseconds(0);
    const short wanted = socket_->wanted(pn_connection_driver_write_buffer(&driver_).size > 0);
    std::array<pollfd, 2> waiting{{{socket_->fd(), wanted, 0}, {worker.wake_fd(), POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), static_cast<int>(std::max<std::int64_t>(longest.count(), 0)));
    if (waiting[1].revents != 0) worker.clear_wake();
}

std::size_t Connection::unsent_bytes() const {
    return pn_session_outgoing_bytes(session_);
}

void Connection::close(Worker& worker, bool answers) {
    NoLinks nobody;
    pn_connection_close(driver_.connection);
    const auto deadline = Steady::now() + (answers ? goodbye_max : milliseconds(0));
    while (exchange(nobody)) {  // until the server's close
        const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now());
        if (left.count() <= 0) return;
        wait(worker, left);
    }
}

}  // namespace sluice::bridge::amqp1
