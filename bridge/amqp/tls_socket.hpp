#pragma once
/// TlsSocket: rabbitmq-c's TLS socket, with what it lacks: a reason when it fails, certificates that name an
/// IP address, the CAs of the system, and a way to break a handshake off.
#include <amqp.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "bridge/amqp/watchdog.hpp"
#include "bridge/tls_settings.hpp"

struct ssl_st;  // OpenSSL's SSL

namespace sluice::bridge::amqp {

/// Lives as long as the connection and ends before amqp_destroy_connection(), except that its OpenSSL
/// callbacks are called until then: they find that it has ended. One thread.
class TlsSocket {
  public:
    /// `host`: whom the server's certificate must name.
    TlsSocket(std::string host, Watchdog& watchdog) : host_(std::move(host)), watchdog_(watchdog) {}
    ~TlsSocket();
    TlsSocket(const TlsSocket&) = delete;
    TlsSocket& operator=(const TlsSocket&) = delete;

    /// Connects and does the handshake; the watchdog has the socket from its begin on. Empty, or why it
    /// failed. `state` then owns the socket.
    std::string open(amqp_connection_state_t state, const TlsSettings& settings,
                     const std::string& numeric_host, std::uint16_t port, std::chrono::milliseconds timeout);
    /// What the server has against us; empty when it has said nothing.
    std::string alert() const;

  private:
    struct Callbacks;
    std::string prepare(amqp_socket_t* socket, const TlsSettings& settings);
    void begin(ssl_st* ssl);
    void await_verdict();
    std::string failure(int status) const;

    const std::string host_;
    Watchdog& watchdog_;
    void* context_ = nullptr;  ///< the SSL_CTX, which is the socket's
    ssl_st* ssl_ = nullptr;    ///< the same; in open() only
    int watched_fd_ = -1;      ///< a duplicate: rabbitmq-c closes its own before we can tell the watchdog
    std::string certificate_problem_;
    int alert_ = 0;
    std::chrono::steady_clock::time_point begin_{};  ///< of the handshake
};

}  // namespace sluice::bridge::amqp
