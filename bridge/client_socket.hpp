#pragma once
/// ClientSocket: bytes to and from a server, over TCP, with or without TLS, for connectors that move their
/// own.
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "bridge/server_address.hpp"
#include "bridge/tls_session.hpp"
#include "bridge/tls_settings.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge {

/// Blocks nowhere but in open(). One thread.
class ClientSocket {
  public:
    enum class Moved : std::uint8_t {
        some,
        none,    ///< not now: poll() for wanted()
        closed,  ///< by the server
        lost,    ///< see problem()
    };

    /// Connects, with TLS when the settings say so; breaks off at `deadline` and when the worker is to stop.
    /// (The resolver is the system's, and may take longer than the deadline.) The error is one line for the
    /// operator and names the server.
    static Result<std::unique_ptr<ClientSocket>, std::string> open(const ServerAddress& server,
                                                                   const TlsSettings& tls, Worker& worker,
                                                                   Steady::time_point deadline);
    ~ClientSocket();
    ClientSocket(const ClientSocket&) = delete;
    ClientSocket& operator=(const ClientSocket&) = delete;

    /// Sets `got` when some came.
    Moved read(MutableBytes into, std::size_t& got);
    /// Sets `put` when some went. What did not go is to be given again, and more behind it.
    Moved write(Bytes from, std::size_t& put);

    int fd() const { return fd_; }
    /// Events of poll(); `has_output`: the caller has something to write.
    short wanted(bool has_output) const;
    /// Bytes that poll() does not know of.
    bool has_buffered() const { return tls_ && tls_->has_buffered(); }
    /// Why it is lost, as one line; empty when the server closed it.
    const std::string& problem() const { return problem_; }

  private:
    explicit ClientSocket(int fd) : fd_(fd) {}
    Result<void, std::string> shake_hands(const std::string& host, const TlsSettings& tls, Worker& worker,
                                          Steady::time_point deadline);
    Moved judge(TlsSession::Step step);
    Moved judge(ssize_t moved, std::size_t& count);

    const int fd_;
    std::unique_ptr<TlsSession> tls_;
    bool tls_wants_write_ = false;
    std::string problem_;
};

}  // namespace sluice::bridge
