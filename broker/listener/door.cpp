#include "listener/door.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/log.hpp"
#include "base/memory_gauge.hpp"
#include "net/proxy_header.hpp"
#include "net/websocket_origin.hpp"

namespace sluice::listener {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// While the process has no file descriptor left, accepting again at once would only burn the CPU.
constexpr auto accept_pause = std::chrono::milliseconds(100);
// Until those who were pushed out have closed their sockets.
constexpr auto short_pause = std::chrono::milliseconds(10);
constexpr int pushed_out_at_once = 32;
// A TLS handshake that is under way takes some 45 KB: all together no more than this part of
// limits.memory_max, or a few.
constexpr std::uint64_t handshake_bytes = 45'000;
constexpr std::uint64_t memory_part = 8;
constexpr std::uint64_t handshakes_min = 16;
constexpr const char* no_descriptors = "the process may open no more files (ulimit -n)";

std::shared_ptr<const net::WebSocketRules> websocket_rules(const ListenerSettings& settings) {
    auto rules = std::make_shared<net::WebSocketRules>();
    rules->path = settings.websocket_path;
    for (const std::string& text : settings.origins)
        if (auto origin = net::normalize_origin(text)) rules->origins.push_back(std::move(*origin));
    return rules;
}

std::uint64_t handshakes_that_fit(const shard::Limits& limits, bool tls) {
    const std::uint64_t budget = limits.memory_max.value_or(0);
    if (!tls || budget == 0) return limits.handshakes_max;
    return std::min<std::uint64_t>(limits.handshakes_max,
                                   std::max(budget / memory_part / handshake_bytes, handshakes_min));
}

}  // namespace

Door::Door(const House& house, asio::io_context& context, ListenerSettings settings)
    : house_(house), settings_(std::move(settings)), socket_(context, settings_), pause_(context) {
    for (const std::string& text : settings_.proxy_from)
        if (const auto network = net::parse_network(text)) proxies_.push_back(*network);
    if (settings_.transport == Transport::websocket) websocket_ = websocket_rules(settings_);
}

Result<void, std::string> Door::open() {
    if (settings_.tls) {
        auto loaded = net::TlsContext::load(*settings_.tls);
        if (!loaded) return Err{fmt::format("listener {}: {}", settings_.place, loaded.error())};
        tls_ = std::move(loaded).value();
    }
    if (auto opened = socket_.open(); !opened)
        return Err{
            fmt::format("listener {}: cannot listen on {}: {}", settings_.place, where(), opened.error())};
    return {};
}

void Door::accept() {
    socket_.acceptor().async_accept(house_.next_context(),
                                    [this](const error_code& error, net::Channel::Socket socket) {
                                        if (error == asio::error::operation_aborted) return;
                                        if (error) return rest(error);
                                        greet(std::move(socket));
                                        accept();
                                    });
}

void Door::close() {
    socket_.close();
    pause_.cancel();
}

net::Filters Door::make_filters() {
    net::Filters filters;
    if (settings_.proxy_protocol == ProxyProtocol::required)
        filters.push_back(net::make_proxy_header_filter());
    if (tls_) filters.push_back(tls_->accept());
    if (websocket_) filters.push_back(net::make_websocket_filter(websocket_));
    return filters;
}

void Door::greet(net::Channel::Socket socket) {
    error_code error;
    (void)socket.remote_endpoint(error);
    if (error) return;  // gone already
    Lobby& lobby = this->lobby();
    lobby.stats.note_accepted();
    asio::io_context& context = socket.get_executor().context();
    net::Channel channel(std::move(socket), make_filters());
    const net::PeerIdentity& peer = channel.identity();
    const auto refuse = [&](TurnedAway why, std::string_view what) {
        lobby.stats.turn_away(
            why, log::Level::warn,
            fmt::format("listener {}: {} is refused: {}", settings_.place, peer.address, what));
    };
    if (!may_introduce(peer)) return refuse(TurnedAway::not_a_proxy, "it is not in `proxy_from`");
    // Behind a proxy the client's address comes with its header; the proxy's own says nothing.
    const bool proxied = settings_.proxy_protocol == ProxyProtocol::required;
    auto lease = lobby.counts->enter(proxied ? std::nullopt : peer.ip,
                                     house_.doorkeeping()->limits.connections_per_address_max);
    if (!lease) {
        return refuse(TurnedAway::address_full,
                      "its address has as many connections as limits.connections_per_address_max allows");
    }
    if (!make_room()) return refuse(TurnedAway::descriptors, no_descriptors);
    channel.hold(std::move(lease));
    auto greeting = std::make_shared<Greeting>(context, house_.doorkeeping(), settings_, std::move(channel));
    greeting->take(lobby.newcomers.enter(greeting));
    asio::post(context, [greeting] { greeting->start(); });
}

bool Door::may_introduce(const net::PeerIdentity& peer) const {
    if (proxies_.empty()) return true;
    return peer.ip && std::any_of(proxies_.begin(), proxies_.end(),
                                  [&](const auto& network) { return network.contains(*peer.ip); });
}

bool Door::make_room() {
    Lobby& lobby = this->lobby();
    const shard::Limits& limits = house_.doorkeeping()->limits;
    while (lobby.newcomers.owing() >= handshakes_that_fit(limits, settings_.tls.has_value()) &&
           push_out_oldest(TurnedAway::newcomers_full, "it gives way to others (limits.handshakes_max)")) {
    }
    const std::uint64_t budget = limits.memory_max.value_or(0);
    if (budget != 0 && memory_gauge::total() >= budget)
        push_out_oldest(TurnedAway::newcomers_full, "it gives way to others (limits.memory_max is reached)");
    // The one who comes in is counted already.
    return lobby.counts->total() <= lobby.sockets_max ||
           push_out_oldest(TurnedAway::descriptors, no_descriptors);
}

bool Door::push_out_oldest(TurnedAway why, const std::string& what) {
    const auto oldest = lobby().newcomers.push_out_oldest();
    if (!oldest) return false;
    asio::post(oldest->context(), [oldest, why, what] { oldest->turn_away(why, what); });
    return true;
}

void Door::rest(const error_code& error) {
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    if (limit.allow(Now::read().mono.time_since_epoch().count(), suppressed)) {
        log::error(
            fmt::format("listener {}: cannot accept on {}: {}", settings_.place, where(), error.message()));
    }
    bool made_room = false;
    if (error == asio::error::no_descriptors) {
        // Many at once: behind those who wait to be accepted may stand a real client.
        for (int i = 0; i < pushed_out_at_once; ++i)
            made_room |= push_out_oldest(TurnedAway::descriptors, no_descriptors);
    }
    pause_.expires_after(made_room ? short_pause : accept_pause);
    pause_.async_wait([this](const error_code& cancelled) {
        if (!cancelled) accept();
    });
}

}  // namespace sluice::listener
