#pragma once
/// Channel: the one owner of a stream socket (TCP or Unix), with the filters between the wire and MQTT.
///
/// Threads: belongs to the thread that runs its io_context, from start() on; detach() lets it move. Only the
/// destructor may run elsewhere, when that thread has ended (tear-down), and before the io_context's own.
/// Callbacks: only from the io_context, never from inside a call to the Channel. Inside a callback everything
/// is allowed, also destroying the Channel or its handler: the socket's state lives in a small counted block
/// that pending operations keep alive, and that forgets the handler when the channel ends.
/// The end: on_closed comes at most once, when the other side or the world ended it; never after
/// close_after_flush(), abort(), detach() or destruction. No callback comes after any of these.
#include <utility>  // before Asio: Boost 1.74 with GCC 12 forgets it

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/ref_ptr.hpp"
#include "core/message.hpp"
#include "net/filter.hpp"
#include "net/filter_chain.hpp"
#include "net/output_queue.hpp"

namespace sluice::net {

class ChannelHandler {
  public:
    virtual ~ChannelHandler() = default;
    /// All plain bytes of one read. The view ends with the call: keep what is not whole yet.
    virtual void on_bytes(Bytes plain) = 0;
    /// The identity has become another: what came first was a PROXY header. Before any other byte is looked
    /// at.
    virtual void on_introduced() {}
    /// The connection is gone; one line for the log. The last callback.
    virtual void on_closed(const std::string& why) = 0;
    /// A flush() that could not write everything has been completed: unsent_bytes() is 0 again.
    virtual void on_writable() = 0;
};

/// Something that is given back when the socket is closed, on whichever thread that happens: a place in a
/// count.
class SocketLease {
  public:
    SocketLease() = default;
    SocketLease(const SocketLease&) = delete;
    SocketLease& operator=(const SocketLease&) = delete;
    virtual ~SocketLease() = default;
};

/// A channel between two threads: a value. Closes its socket when nobody adopts it.
struct DetachedChannel {
    DetachedChannel() = default;
    DetachedChannel(DetachedChannel&& other) noexcept { *this = std::move(other); }
    DetachedChannel& operator=(DetachedChannel&& other) noexcept;
    ~DetachedChannel();

    int fd = -1;
    Filters filters;  ///< the first is nearest to the wire
    PeerIdentity identity;
    std::unique_ptr<SocketLease> lease;  ///< may be null
    std::string ending;                  ///< why it is over once `unread` is consumed; empty: it goes on
    ByteBuffer unread;   ///< plain bytes that came and were not consumed; the next on_bytes begins with them
    ByteBuffer wire;     ///< already encrypted, not yet sent
    OutputQueue output;  ///< not yet encrypted, not yet sent
};

class Channel {
  public:
    /// Bound to io_context: the executor that may be any costs 80 bytes per connection.
    using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol,
                                                    boost::asio::io_context::executor_type>;

    /// Of an accepted socket (a tcp or local socket converts when it is moved).
    explicit Channel(Socket socket, Filters filters = {});
    /// Of one that came from another thread.
    Channel(boost::asio::io_context& context, DetachedChannel detached);
    Channel(Channel&& other) noexcept;
    Channel& operator=(Channel&& other) noexcept;
    ~Channel();

    /// Begins to read. The handler must outlive the channel, or the channel be ended first.
    void start(ChannelHandler& handler);
    /// Back-pressure: no on_bytes until resume_reading(). The end of the connection may go unnoticed
    /// meanwhile: ask peer_ended().
    void pause_reading();
    void resume_reading();
    /// The peer will send no more than what has come already, which may still be unread. One system call.
    bool peer_ended() const;

    /// Copies into the output; nothing leaves before flush().
    void send(Bytes bytes);
    /// The same for the parts of a packet. Those that lie in the message are referenced until the socket has
    /// taken them, when they are large.
    void send(std::initializer_list<OutputQueue::Part> parts, const core::MessagePtr& message);
    /// Writes what the socket takes now and goes on by itself when it takes more (then on_writable). What is
    /// sent before the filters' handshake is over waits for it. Call once per turn.
    void flush();
    /// Waiting in this process: plain and encrypted.
    std::size_t unsent_bytes() const;

    /// Sends what is queued and the filters' farewell, then shuts down, waits for the peer's end and closes;
    /// at the latest after `grace` (at most 5 s). Goes on by itself when the Channel is destroyed.
    void close_after_flush(std::chrono::milliseconds grace = std::chrono::seconds(2));
    /// Closes at once.
    void abort();
    /// Neither ended nor detached.
    bool is_open() const;
    /// Handshakes are over (true without filters); identity() is complete.
    bool ready() const;

    /// Takes the socket off its io_context to be moved to another thread; this Channel is empty afterwards.
    /// `unconsumed`: bytes of on_bytes that the next owner shall get. Allowed inside on_bytes, before
    /// start(), and while reading is paused since an on_bytes: otherwise a read may be under way whose bytes
    /// would be lost (CHECK; ask detachable()).
    DetachedChannel detach(Bytes unconsumed = {});
    bool detachable() const;

    /// Kept until the socket is closed, also by another Channel after detach(). Returns the one before; of a
    /// closed socket nothing is kept.
    std::unique_ptr<SocketLease> hold(std::unique_ptr<SocketLease> lease);
    /// Ended, but the socket is still open: what was sent last is on its way, or the peer has not closed yet.
    bool lingers() const;
    PeerIdentity& identity();
    const PeerIdentity& identity() const;
    /// Moves it out: an established connection has no room for what only its beginning needed. identity()
    /// must not be asked for any more.
    PeerIdentity take_identity();

  private:
    class State;
    RefPtr<State> state_;
    friend class State;
};

}  // namespace sluice::net
