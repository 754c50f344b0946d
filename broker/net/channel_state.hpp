#pragma once
/// The counted block behind a Channel. Only channel*.cpp include this.
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "base/check.hpp"
#include "net/channel.hpp"
#include "net/operation_memory.hpp"

namespace sluice::net {

class Channel::State final : public RefCounted<Channel::State> {
  public:
    State(Socket socket, Filters filters);
    State(boost::asio::io_context& context, DetachedChannel detached);

    void start(ChannelHandler& handler);
    void pause_reading();
    void resume_reading();
    bool peer_ended();
    void flush();
    void close_after_flush(std::chrono::milliseconds grace);
    void close_now();
    DetachedChannel detach(Bytes unconsumed);

    enum class Phase : std::uint8_t {
        open,
        closing,  ///< nobody listens any more; what is queued goes out, what comes in is thrown away
        closed,   ///< also: detached
    };
    Phase phase() const { return phase_; }
    bool ready() const { return ready_; }
    bool detachable() const { return phase_ == Phase::open && !reading_; }
    std::size_t unsent_bytes() const { return output_.bytes() + unsent_wire_bytes(); }
    void check_owner() const { owner_.check(); }

    std::unique_ptr<PeerIdentity> identity;  ///< null: taken
    std::unique_ptr<SocketLease> lease;      ///< as long as socket_ is open
    OutputQueue& output() { return output_; }

  private:
    using Error = boost::system::error_code;
    using Self = RefPtr<State>;
    enum class ReadEnd : std::uint8_t { more, drained, ended };

    /// What stands between plain bytes and the wire.
    struct Coder {
        FilterChain filters;
        ByteBuffer wire;            ///< encrypted; borrowed from the thread while not empty
        std::size_t wire_sent = 0;  ///< of it, taken by the socket
    };
    /// What the handler is to hear as soon as it takes input.
    struct Due {
        ByteBuffer unread;                  ///< plain, from before a detach
        std::optional<std::string> ending;  ///< the peer has ended; why
    };
    /// Waits for the socket to become readable.
    struct Reader;

    template <class Step>
    void guarded(Step&& step) noexcept;
    template <class Step>
    void post(Step&& step);

    void begin();
    void read_more();
    void on_readable(const Error& error);
    void notice_end();
    void process();
    ReadEnd read_now(MutableBytes into, std::size_t& bytes);
    void deliver(Bytes wire);
    bool introduce(Bytes wire, ByteBuffer& behind);
    void deliver_unread();
    Due& due();
    bool has_ended() const { return due_ && due_->ending; }
    /// The peer has ended: as soon as everything that came before has been consumed.
    void end_after_input(std::string why);
    bool ended_after_input();
    void note_ready();
    bool filters_ready() const { return !coder_ || coder_->filters.ready(); }
    std::size_t unsent_wire_bytes() const { return coder_ ? coder_->wire.size() - coder_->wire_sent : 0; }
    std::string why_closed() const;
    void discard_input();
    void drop_wire() {
        if (!coder_) return;
        coder_->wire.clear();
        coder_->wire_sent = 0;
    }

    void pump();
    bool encode_more();
    ssize_t write_wire();
    void sent_everything();
    void wait_writable();
    void write_failed(const std::string& why);
    void fail(const std::string& why);
    void drop_after(const std::exception& thrown) noexcept;

    Socket socket_;
    ChannelHandler* handler_ = nullptr;
    std::unique_ptr<Coder> coder_;  ///< null: without filters
    OutputQueue output_;
    std::unique_ptr<Due> due_;                          ///< null: nothing
    std::unique_ptr<boost::asio::steady_timer> grace_;  ///< only while closing
    int read_error_ = 0;  ///< why the connection ends once what was read is delivered; 0: by the peer
    OwnerThread owner_;
    Phase phase_ = Phase::open;
    bool ready_ = false;
    bool reading_ = false;     ///< woken when there is something to read
    bool processing_ = false;  ///< inside process(), which will ask for the next read itself
    bool paused_ = false;
    bool write_waiting_ = false;  ///< for the socket to become writable
    bool write_broken_ = false;
    bool farewell_said_ = false;
    bool peer_ended_ = false;
    OperationMemory reader_memory_;
};

// Bytes are read when they are there, into the thread's buffer: a connection that waits for them owns none.
struct Channel::State::Reader {
    using allocator_type = OperationAllocator<std::byte>;

    Self self;
    allocator_type get_allocator() const noexcept { return allocator_type(self->reader_memory_); }
    void operator()(const Error& error) const {
        self->reading_ = false;
        self->guarded([&] { self->on_readable(error); });
    }
};

// Nothing that a callback throws may reach the io_context: the connection ends, the thread lives.
template <class Step>
void Channel::State::guarded(Step&& step) noexcept {
    try {
        step();
    } catch (const std::exception& e) {
        drop_after(e);
    }
}

template <class Step>
void Channel::State::post(Step&& step) {
    boost::asio::post(socket_.get_executor(), [self = Self(this), step = std::forward<Step>(step)] {
        if (self->phase_ == Phase::open) self->guarded(step);
    });
}

inline bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}
inline std::string text_of_errno(int error) {
    return error == EPIPE || error == ECONNRESET ? "connection reset by the peer" : std::strerror(error);
}

}  // namespace sluice::net
