#pragma once
/// Stream: a TCP connection to a server, with or without TLS, and the bytes that wait to be sent.
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "bridge/mqtt/tls_session.hpp"
#include "bridge/server_address.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::mqtt {

/// Nothing waits, except open(). One thread.
class Stream {
  public:
    /// Connects, and does the handshake when `tls` is given; breaks off when the worker is to stop. The error
    /// is one line for the operator. (The resolver is the system's, and may take longer than the deadline.)
    static Result<std::unique_ptr<Stream>, std::string> open(const ServerAddress& server,
                                                             const TlsSettings* tls, Worker& worker,
                                                             Steady::time_point deadline);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    int fd() const { return fd_; }
    /// What poll() is to wait for.
    short wanted() const;
    bool has_buffered() const { return tls_ && tls_->has_buffered(); }

    /// To be sent; flush() does it as far as there is room.
    void send(Bytes bytes) { append(out_, bytes); }
    /// False when the connection is lost.
    bool flush();
    /// Appends what has come, up to 256 KiB. False when the connection is lost.
    bool read(ByteBuffer& into);

    std::size_t pending_bytes() const { return out_.size() - sent_; }
    std::uint64_t written_bytes() const { return written_; }
    /// What the peer's machine has acknowledged: it rises while a large packet crawls over a slow link.
    std::uint64_t acknowledged_bytes() const;
    const std::string& problem() const { return problem_; }

  private:
    enum class Moved : std::uint8_t { some, none, lost };

    Stream() = default;
    Result<void, std::string> shake_hands(const ServerAddress& server, const TlsSettings& tls, Worker& worker,
                                          Steady::time_point deadline);
    Moved write_some(Bytes from, std::size_t& put);
    Moved read_some(MutableBytes into, std::size_t& got);
    Moved judge(TlsSession::Step step);

    int fd_ = -1;
    std::unique_ptr<TlsSession> tls_;
    ByteBuffer out_;
    std::size_t sent_ = 0;  ///< of out_
    std::uint64_t written_ = 0;
    bool tls_wants_write_ = false;
    std::string problem_;
};

}  // namespace sluice::bridge::mqtt
