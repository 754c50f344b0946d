#include "listener/listener.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>

#include "base/log.hpp"
#include "net/proxy_header.hpp"
#include "net/websocket.hpp"
#include "net/websocket_origin.hpp"

namespace sluice::listener {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// While the process has no file descriptor left, accepting again at once would only burn the CPU.
constexpr auto accept_pause = std::chrono::milliseconds(100);
constexpr int backlog = 1024;

std::string_view name_of(Transport transport) {
    switch (transport) {
        case Transport::tcp:
            return "TCP";
        case Transport::websocket:
            return "WebSocket";
        case Transport::unix_socket:
            return "Unix socket";
    }
    return "";
}

}  // namespace

/// One listening socket.
class Listeners::Door {
  public:
    Door(Listeners& house, asio::io_context& context, ListenerSettings settings)
        : house_(house), settings_(std::move(settings)), acceptor_(context), pause_(context) {
        for (const std::string& text : settings_.proxy_from)
            if (const auto network = net::parse_network(text)) proxies_.push_back(*network);
        auto rules = std::make_shared<net::WebSocketRules>();
        rules->path = settings_.websocket_path;
        for (const std::string& text : settings_.origins)
            if (auto origin = net::normalize_origin(text)) rules->origins.push_back(std::move(*origin));
        websocket_ = std::move(rules);
    }

    Result<void, std::string> open() {
        if (settings_.tls) {
            auto loaded = net::TlsContext::load(*settings_.tls);
            if (!loaded) return Err{fmt::format("listener {}: {}", settings_.place, loaded.error())};
            tls_ = std::move(loaded).value();
        }
        error_code error = settings_.transport == Transport::unix_socket ? bind_unix() : bind_tcp();
        if (!error) acceptor_.listen(backlog, error);
        if (error)
            return Err{fmt::format("listener {}: cannot listen on {}: {}", settings_.place, where(),
                                   error.message())};
        return {};
    }

    void accept() {
        acceptor_.async_accept(house_.next_context(),
                               [this](const error_code& error, net::Channel::Socket socket) {
                                   if (error == asio::error::operation_aborted) return;
                                   if (error) return rest(error);
                                   greet(std::move(socket));
                                   accept();
                               });
    }

    void close() {
        error_code ignored;
        acceptor_.close(ignored);
        pause_.cancel();
        if (settings_.transport == Transport::unix_socket) ::unlink(settings_.path.c_str());
    }

    std::string where() const {
        if (settings_.transport == Transport::unix_socket) return settings_.path;
        const std::string address = settings_.address.empty() ? "*" : settings_.address;
        return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port_)
                                                      : fmt::format("[{}]:{}", address, port_);
    }
    std::uint16_t port() const { return port_; }
    /// On the first worker.
    void set_tls(std::shared_ptr<net::TlsContext> tls) { tls_ = std::move(tls); }

  private:
    error_code bind_tcp() {
        port_ = settings_.port;
        error_code error;
        if (!settings_.address.empty()) {
            const auto address = asio::ip::make_address(settings_.address, error);
            return error ? error : bind_to({address, settings_.port}, false);
        }
        // Every address: one socket for IPv6 and IPv4, or IPv4 alone where the kernel has no IPv6.
        error = bind_to({asio::ip::address_v6::any(), settings_.port}, true);
        return error == asio::error::address_family_not_supported
                   ? bind_to({asio::ip::address_v4::any(), settings_.port}, false)
                   : error;
    }

    error_code bind_to(const tcp::endpoint& endpoint, bool both_families) {
        error_code error;
        acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
        if (!error && endpoint.address().is_v6())
            acceptor_.set_option(asio::ip::v6_only(!both_families), error);
        if (!error) acceptor_.bind(endpoint, error);
        if (error) {
            error_code ignored;
            acceptor_.close(ignored);
            return error;
        }
        tcp::endpoint bound;
        const stream_protocol::endpoint local = acceptor_.local_endpoint(error);
        if (error) return error;
        std::memcpy(bound.data(), local.data(), std::min(local.size(), bound.capacity()));
        port_ = bound.port();
        return error;
    }

    error_code bind_unix() {
        error_code error;
        const asio::local::stream_protocol::endpoint endpoint(settings_.path);
        struct stat status {};
        // A socket file left by a process that was killed; anything else is not ours to remove.
        if (::lstat(settings_.path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
            ::unlink(settings_.path.c_str());
        acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.bind(endpoint, error);
        return error;
    }

    void greet(net::Channel::Socket socket) {
        error_code error;
        (void)socket.remote_endpoint(error);
        if (error) return;  // gone already
        auto& context = static_cast<asio::io_context&>(socket.get_executor().context());
        net::Filters filters;
        if (settings_.proxy_protocol == ProxyProtocol::required)
            filters.push_back(net::make_proxy_header_filter());
        if (tls_) filters.push_back(tls_->accept());
        if (settings_.transport == Transport::websocket)
            filters.push_back(net::make_websocket_filter(websocket_));
        net::Channel channel(std::move(socket), std::move(filters));
        if (!may_introduce(channel.identity())) return refuse_stranger(channel.identity());
        auto greeting =
            std::make_shared<Greeting>(context, house_.doorkeeping_, settings_, std::move(channel));
        asio::post(context, [greeting] { greeting->start(); });
    }

    /// Whether it may come in at all: where only proxies do, it must be one of them.
    bool may_introduce(const net::PeerIdentity& peer) const {
        return proxies_.empty() ||
               (peer.ip && std::any_of(proxies_.begin(), proxies_.end(),
                                       [&](const auto& n) { return n.contains(*peer.ip); }));
    }
    void refuse_stranger(const net::PeerIdentity& peer) {
        static log::RateLimit limit(1'000);
        std::uint64_t suppressed = 0;
        if (!limit.allow(Now::read().mono.time_since_epoch().count(), suppressed)) return;
        log::warn(
            fmt::format("listener {}: {} is refused: it is not in `proxy_from` ({} more were held back)",
                        settings_.place, peer.address, suppressed));
    }

    void rest(const error_code& error) {
        static log::RateLimit limit(10'000);
        std::uint64_t suppressed = 0;
        if (limit.allow(Now::read().mono.time_since_epoch().count(), suppressed)) {
            log::error(fmt::format("listener {}: cannot accept on {}: {}", settings_.place, where(),
                                   error.message()));
        }
        pause_.expires_after(accept_pause);
        pause_.async_wait([this](const error_code& cancelled) {
            if (!cancelled) accept();
        });
    }

    Listeners& house_;
    ListenerSettings settings_;
    std::vector<net::IpNetwork> proxies_;  ///< empty: anybody
    std::shared_ptr<const net::WebSocketRules> websocket_;
    asio::basic_socket_acceptor<stream_protocol> acceptor_;
    asio::steady_timer pause_;
    std::shared_ptr<net::TlsContext> tls_;
    std::uint16_t port_ = 0;
};

Listeners::Listeners(Doorkeeping doorkeeping, std::size_t threads)
    : doorkeeping_(std::make_shared<const Doorkeeping>(std::move(doorkeeping))) {
    for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i)
        workers_.push_back(std::make_unique<Worker>());
}

Listeners::~Listeners() {
    stop();
}

asio::io_context& Listeners::next_context() {
    return workers_[next_worker_++ % workers_.size()]->context;
}

Result<void, std::string> Listeners::open(const std::vector<ListenerSettings>& settings) {
    for (const ListenerSettings& one : settings) {
        // All doors accept on the first worker: next_context() belongs to that thread.
        auto door = std::make_unique<Door>(*this, workers_.front()->context, one);
        if (auto opened = door->open(); !opened) return opened;
        log::info(fmt::format("listener {}: {} {} on {}", one.place, one.tls ? "TLS" : "plain",
                              name_of(one.transport), door->where()));
        doors_.push_back(std::move(door));
    }
    return {};
}

void Listeners::start() {
    for (auto& door : doors_) door->accept();
    for (auto& worker : workers_) {
        worker->thread = std::thread([&context = worker->context] {
            const auto keep_running = asio::make_work_guard(context);
            context.run();
        });
    }
}

std::vector<std::string> Listeners::reload(Doorkeeping doorkeeping,
                                           const std::vector<ListenerSettings>& settings) {
    std::vector<std::string> problems;
    std::vector<std::pair<Door*, std::shared_ptr<net::TlsContext>>> fresh;
    for (std::size_t i = 0; i < std::min(doors_.size(), settings.size()); ++i) {
        if (!settings[i].tls) continue;
        auto loaded = net::TlsContext::load(*settings[i].tls);
        if (loaded) {
            fresh.emplace_back(doors_[i].get(), std::move(loaded).value());
        } else {
            problems.push_back(fmt::format("listener {}: {}", settings[i].place, loaded.error()));
        }
    }
    asio::post(workers_.front()->context,
               [this, fresh = std::move(fresh),
                doors = std::make_shared<const Doorkeeping>(std::move(doorkeeping))] {
                   doorkeeping_ = doors;
                   for (const auto& [door, tls] : fresh) door->set_tls(tls);
               });
    return problems;
}

void Listeners::stop() {
    if (!workers_.empty() && workers_.front()->thread.joinable()) {
        asio::post(workers_.front()->context, [this] {
            for (auto& door : doors_) door->close();
        });
    }
    for (auto& worker : workers_) {
        if (!worker->thread.joinable()) continue;
        asio::post(worker->context, [&context = worker->context] { context.stop(); });
        worker->thread.join();
    }
}

std::vector<std::uint16_t> Listeners::ports() const {
    std::vector<std::uint16_t> ports;
    for (const auto& door : doors_) ports.push_back(door->port());
    return ports;
}

}  // namespace sluice::listener
