#pragma once
/// ListeningSocket: a TCP or Unix socket, bound as its settings say.
#include <utility>  // before Asio: Boost 1.74 with GCC 12 forgets it

#include <sys/stat.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "listener/settings.hpp"

namespace sluice::listener {

class ListeningSocket {
  public:
    using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol,
                                                        boost::asio::io_context::executor_type>;

    /// `settings` outlive this.
    ListeningSocket(boost::asio::io_context& context, const ListenerSettings& settings)
        : settings_(settings), acceptor_(context) {}

    /// Binds and listens. The error is what the system said, in words.
    Result<void, std::string> open();
    Acceptor& acceptor() { return acceptor_; }
    /// Takes the file of a Unix socket away, unless another has taken its place.
    void close();

    /// "127.0.0.1:1883", "[::1]:1883", "*:1883", "/run/sluice/mqtt.sock"
    std::string where() const;
    /// What the system chose when the settings say 0; 0 for a Unix socket.
    std::uint16_t port() const { return port_; }

  private:
    using Error = boost::system::error_code;
    Error bind_tcp();
    Error bind_to(const boost::asio::ip::tcp::endpoint& endpoint, bool both_families);
    Result<void, std::string> bind_unix();

    const ListenerSettings& settings_;
    Acceptor acceptor_;
    std::uint16_t port_ = 0;
    std::optional<struct stat> file_;  ///< of a Unix socket: ours
};

}  // namespace sluice::listener
