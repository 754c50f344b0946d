#pragma once
/// Door: one listening socket, and who comes in through it.
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "listener/greeting.hpp"
#include "listener/listening_socket.hpp"
#include "net/websocket.hpp"

namespace sluice::listener {

/// Lives on the thread of its io_context (any thread before that runs).
class Door {
  public:
    /// What a door needs of the house it belongs to, and outlives it.
    struct House {
        /// Where the next connection shall live.
        std::function<boost::asio::io_context&()> next_context;
        std::function<const std::shared_ptr<const Doorkeeping>&()> doorkeeping;
    };

    Door(const House& house, boost::asio::io_context& context, ListenerSettings settings);

    /// The error is one line with the listener's place, its address and the reason.
    Result<void, std::string> open();
    void accept();
    void close();

    std::string where() const { return socket_.where(); }
    std::uint16_t port() const { return socket_.port(); }
    void set_tls(std::shared_ptr<net::TlsContext> tls) { tls_ = std::move(tls); }

  private:
    net::Filters make_filters();
    void greet(net::Channel::Socket socket);
    bool may_introduce(const net::PeerIdentity& peer) const;
    /// Pushes others out where there are too many; false when the process is full of clients.
    bool make_room();
    bool push_out_oldest(TurnedAway why, const std::string& what);
    void rest(const boost::system::error_code& error);
    Lobby& lobby() { return *house_.doorkeeping()->lobby; }

    const House& house_;
    const ListenerSettings settings_;
    std::vector<net::IpNetwork> proxies_;  ///< empty: anybody
    std::shared_ptr<const net::WebSocketRules> websocket_;
    ListeningSocket socket_;
    boost::asio::steady_timer pause_;
    std::shared_ptr<net::TlsContext> tls_;
};

}  // namespace sluice::listener
