// Asio before all else needs <utility> with Boost 1.74 and GCC 12. This is the one file that compiles Beast.
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/src.hpp>
#include <optional>
#include <thread>

#include "admin/answers.hpp"
#include "admin/bridge_command.hpp"
#include "admin/command_thread.hpp"
#include "admin/http_server.hpp"
#include "base/log.hpp"

namespace sluice::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

std::string describe(const tcp::endpoint& endpoint) {
    const std::string address = endpoint.address().to_string();
    const bool v6 = endpoint.address().is_v6();
    return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

std::string_view to_view(beast::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

struct HttpServer::Impl {
    class Connection;

    Impl(const shard::StatsSource& source, shard::BridgeControl* bridges, AdminSettings given,
         ServerLimits bounds)
        : stats(source), control(bridges), settings(std::move(given)), limits(bounds) {}

    std::optional<std::string> listen();
    void accept();
    void on_accept(error_code error, tcp::socket socket);
    void on_connection_end();

    const shard::StatsSource& stats;
    shard::BridgeControl* const control;  ///< may be null
    const AdminSettings settings;
    const ServerLimits limits;
    bool only_local = false;  ///< bound to loopback: the Host header must say so too
    bool stopping = false;    ///< written when the thread has ended
    bool accepting = false;
    std::uint32_t connections = 0;
    // Below this line destroyed first: what still waits in `io` ends its connections, which count themselves
    // off.
    asio::io_context io{1};
    tcp::acceptor acceptor{io};
    asio::steady_timer retry{io};
    std::thread thread;
    CommandThread commands{limits.commands_waiting_max, limits.command_wait_max};
};

/// One peer. Lives as long as one of its operations waits.
class HttpServer::Impl::Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(Impl& server, tcp::socket socket) : server_(server), stream_(std::move(socket)) {
        ++server_.connections;
    }
    ~Connection() {
        --server_.connections;
        server_.on_connection_end();
    }

    void read() {
        parser_.emplace();
        parser_->header_limit(server_.limits.header_bytes_max);
        parser_->body_limit(server_.limits.body_bytes_max);
        stream_.expires_after(server_.limits.request_timeout);
        http::async_read(
            stream_, buffer_, *parser_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_read(error); });
    }

  private:
    void on_read(error_code error) {
        if (error == http::error::header_limit) return refuse(make_error(431, "the header is too large"));
        if (error == http::error::body_limit) return refuse(make_error(413, "the body is too large"));
        if (error.category() == http::make_error_code(http::error::bad_method).category() &&
            error != http::error::end_of_stream && error != http::error::partial_message) {
            return refuse(make_error(400, "this is not an HTTP request: " + error.message()));
        }
        if (error) return;  // the peer has gone, or took too long
        const auto& request = parser_->get();
        const bool is_head = request.method() == http::verb::head;
        const bool keep = request.keep_alive();
        if (const auto wrong = check_host(request)) return write(*wrong, is_head, false);
        if (auto command = read_command(view_of(request))) {
            if (!command->ok()) return write(command->error(), is_head, keep);
            return run(**command, is_head, keep);
        }
        write(answer_request(to_view(request.method_string()), to_view(request.target()), server_.stats),
              is_head, keep);
    }

    template <class Request>
    static CommandRequest view_of(const Request& request) {
        CommandRequest view{.method = to_view(request.method_string()),
                            .target = to_view(request.target()),
                            .body = request.body(),
                            .mark = to_view(request["X-Sluice-Request"]),
                            .host = to_view(request[http::field::host])};
        const auto origins = request.count(http::field::origin);
        if (origins > 0) view.origin = origins == 1 ? to_view(request[http::field::origin]) : "";
        return view;
    }

    /// Nothing is read from the peer until it has its answer.
    void run(const BridgeCommand& command, bool is_head, bool keep_alive) {
        if (!server_.control) return write(make_error(501, "no bridges are commanded here"), is_head, false);
        const bool posted = server_.commands.post(
            [self = shared_from_this(), command, is_head, keep_alive](bool in_time) mutable {
                Impl& server = self->server_;
                Answer answer = in_time ? run_command(command, *server.control) : make_busy();
                // The connection may end on the port's thread only.
                asio::post(server.io, [self = std::move(self), answer = std::move(answer), is_head,
                                       keep_alive] { self->write(answer, is_head, keep_alive); });
            });
        if (!posted) write(make_busy(), is_head, keep_alive);
    }

    static Answer make_busy() {
        return make_error(503, "other commands take too long: nothing was done, try again");
    }

    template <class Request>
    std::optional<Answer> check_host(const Request& request) const {
        const auto count = request.count(http::field::host);
        if (count == 0 && request.version() < 11) return {};
        if (count != 1) return make_error(400, "expected one Host header");
        if (!server_.only_local || is_local_host(to_view(request[http::field::host]))) return {};
        return make_error(403, "the Host header does not name this machine");
    }

    void refuse(const Answer& answer) { write(answer, false, false); }

    void write(const Answer& answer, bool is_head, bool keep_alive) {
        response_ = {};
        response_.version(11);
        response_.result(answer.status);
        response_.set(http::field::server, "sluice");
        response_.set(http::field::content_type,
                      beast::string_view(answer.content_type.data(), answer.content_type.size()));
        response_.set(http::field::cache_control, "no-store");
        response_.set("X-Content-Type-Options", "nosniff");
        if (!answer.allow.empty())
            response_.set(http::field::allow, beast::string_view(answer.allow.data(), answer.allow.size()));
        response_.keep_alive(keep_alive);
        response_.content_length(answer.body.size());
        if (!is_head) response_.body() = answer.body;
        stream_.expires_after(server_.limits.request_timeout);
        http::async_write(stream_, response_,
                          [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
                              if (error) return;
                              if (keep_alive) return self->read();
                              self->close();
                          });
    }

    /// What the peer still sends is read once, so that the kernel does not answer it with a reset that would
    /// overtake our answer.
    void close() {
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        stream_.socket().non_blocking(true, ignored);
        char rest[16384];
        stream_.socket().read_some(asio::buffer(rest), ignored);
        stream_.close();
    }

    Impl& server_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{64 * 1024};
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> response_;
};

/// Null when it listens, else why it does not.
std::optional<std::string> HttpServer::Impl::listen() {
    error_code error;
    const auto address = asio::ip::make_address(settings.address, error);
    if (error) return "admin: \"" + settings.address + "\" is not an IP address";
    const tcp::endpoint endpoint(address, settings.port);
    only_local = address.is_loopback();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) return {};
    return "admin: cannot listen on " + describe(endpoint) + ": " + error.message();
}

void HttpServer::Impl::accept() {
    accepting = true;
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
        accepting = false;
        on_accept(error, std::move(socket));
    });
}

void HttpServer::Impl::on_accept(error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (error && error != asio::error::connection_aborted) {
        // Most likely there are no descriptors left: trying again at once would only burn the processor.
        log::warn("admin: cannot accept a connection: " + error.message());
        accepting = true;
        retry.expires_after(std::chrono::seconds(1));
        retry.async_wait([this](error_code waited) {
            if (!waited) accept();
        });
        return;
    }
    if (!error) std::make_shared<Connection>(*this, std::move(socket))->read();
    if (!accepting && connections < limits.connections_max) accept();
}

void HttpServer::Impl::on_connection_end() {
    if (!stopping && !accepting && connections < limits.connections_max) accept();
}

HttpServer::HttpServer(const shard::StatsSource& stats, shard::BridgeControl* control, AdminSettings settings,
                       ServerLimits limits)
    : impl_(std::make_unique<Impl>(stats, control, std::move(settings), limits)) {}

HttpServer::~HttpServer() {
    stop();
}

Result<std::uint16_t, std::string> HttpServer::start() {
    CHECK(impl_ && !impl_->thread.joinable());
    if (auto why = impl_->listen()) return Err{std::move(*why)};
    const std::uint16_t port = impl_->acceptor.local_endpoint().port();
    impl_->accept();
    if (impl_->control) impl_->commands.start();
    impl_->thread = start_quiet_thread("sluice-admin", [impl = impl_.get()] { impl->io.run(); });
    return port;
}

void HttpServer::stop() {
    if (!impl_ || !impl_->thread.joinable()) return;
    impl_->io.stop();
    impl_->thread.join();
    impl_->stopping = true;
    impl_->commands.stop();  // what waited there ends its connections here
    impl_.reset();
}

}  // namespace sluice::admin
