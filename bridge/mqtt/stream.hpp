#pragma once
/// Stream: a socket, the bytes that wait to be sent through it, and how far they have got.
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "bridge/client_socket.hpp"

namespace sluice::bridge::mqtt {

/// Nothing waits. One thread.
class Stream {
  public:
    explicit Stream(std::unique_ptr<ClientSocket> socket) : socket_(std::move(socket)) {}

    int fd() const { return socket_->fd(); }
    /// What poll() is to wait for.
    short wanted() const { return socket_->wanted(pending_bytes() > 0); }
    bool has_buffered() const { return socket_->has_buffered(); }

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
    std::string problem() const;
    /// Once it is lost: the peer has ended it, not the way to it.
    bool is_closed_by_peer() const;

  private:
    using Moved = ClientSocket::Moved;

    std::unique_ptr<ClientSocket> socket_;
    ByteBuffer out_;
    std::size_t sent_ = 0;  ///< of out_
    std::uint64_t written_ = 0;
};

}  // namespace sluice::bridge::mqtt
