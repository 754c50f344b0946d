#pragma once
/// Filter: a pure machine between the wire and the MQTT bytes (TLS, WebSocket, PROXY header). No sockets
/// inside: bytes in, bytes out.
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/ip_address.hpp"

namespace sluice::net {

/// Why a connection cannot go on; one line for the log, e.g. "TLS: the client sent no certificate".
struct FilterError {
    std::string what;
};

/// Who the far end is, as far as the transport knows.
struct PeerIdentity {
    std::string address;                     ///< "192.0.2.7:51234", "[2001:db8::1]:51234", "unix"
    std::optional<IpAddress> ip;             ///< of `address`; none for a Unix socket
    std::string tls_version;                 ///< "TLSv1.2", empty without TLS
    bool certified = false;                  ///< a client certificate was given and verified
    std::optional<std::string> common_name;  ///< of a verified client certificate
    std::optional<std::string> subject;      ///< likewise, RFC 4514 text
};

class Filter {
  public:
    virtual ~Filter() = default;

    /// Bytes came from the wire. Appends what it means to `plain` and what must go back on the wire
    /// (handshake, pong, alert) to `reply`. Both count also when an error is returned: `plain` is what came
    /// before the fault (or before the peer's own farewell, which is reported as an error too), `reply` is
    /// still to be sent. May keep an unfinished record inside. Not called again after an error.
    virtual Result<void, FilterError> receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) = 0;
    /// The application sends: appends the wire form of `plain` to `wire`. Only when ready().
    virtual Result<void, FilterError> send(Bytes plain, ByteBuffer& wire) = 0;
    /// Appends the farewell (close_notify, close frame); nothing when one was sent already or none is
    /// possible.
    virtual void close(ByteBuffer& wire) = 0;
    /// The handshake is over; application bytes may be sent.
    virtual bool ready() const = 0;
    /// True for what only says who the far end is and then has no more to do (PROXY header). As soon as it is
    /// ready() it is asked to identify() and taken out of the chain; only the first may be one.
    virtual bool introduces() const { return false; }
    /// Fills in what the handshake proved; called once when ready().
    virtual void identify(PeerIdentity& identity) const { (void)identity; }
};

}  // namespace sluice::net
