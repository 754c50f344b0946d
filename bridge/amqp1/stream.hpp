#pragma once
/// Stream: bytes to and from a server, over TCP, with or without TLS.
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "bridge/amqp1/tls.hpp"
#include "bridge/server_address.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp1 {

/// Blocks nowhere but in open(). One thread.
class Stream {
  public:
    /// Connects, with TLS when the settings say so; breaks off at `deadline` and when the worker is to stop.
    /// The error is one line for the operator.
    static Result<std::unique_ptr<Stream>, std::string> open(const ServerAddress& server,
                                                             const TlsSettings& tls, Worker& worker,
                                                             Steady::time_point deadline);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// How many bytes came, 0 when there are none now, -1 when none will come any more: see why().
    ssize_t read(char* to, std::size_t size);
    /// How many bytes were taken, 0 when there is no room now, -1 when the connection is gone: see why().
    ssize_t write(std::string_view bytes);
    /// What was taken waits for room in the socket; write() of anything goes on with it.
    bool has_unsent() const { return tls_ && unsent_; }
    int fd() const { return fd_; }
    /// Empty when the server closed in good order.
    const std::string& why() const { return why_; }

  private:
    explicit Stream(int fd) : fd_(fd) {}
    Result<void, std::string> start_tls(const ServerAddress& server, const TlsSettings& tls, Worker& worker,
                                        Steady::time_point deadline);
    ssize_t receive(char* to, std::size_t size);
    ssize_t send(std::string_view bytes);
    bool send_encrypted();
    ssize_t fail(std::string why);

    int fd_;
    std::unique_ptr<Tls> tls_;
    bool unsent_ = false;
    std::string why_;
};

}  // namespace sluice::bridge::amqp1
