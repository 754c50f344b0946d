#pragma once
/// The counted block behind a Channel. Only channel*.cpp include this.
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>

#include "base/check.hpp"
#include "net/channel.hpp"

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
    bool detachable() const { return phase_ == Phase::open && !reading_ && held_bytes_ == 0; }
    std::size_t unsent_bytes() const { return output_.bytes() + wire_.size() - wire_sent_; }
    void check_owner() const { owner_.check(); }

    std::unique_ptr<PeerIdentity> identity;  ///< null: taken
    std::unique_ptr<SocketLease> lease;      ///< as long as socket_ is open
    OutputQueue& output() { return output_; }

  private:
    using Error = boost::system::error_code;
    using Self = RefPtr<State>;
    enum class ReadEnd : std::uint8_t { more, drained, ended };

    void prepare_socket();
    template <class Step>
    void guarded(Step&& step) noexcept;
    template <class Step>
    void post(Step&& step);

    void begin();
    void read_more();
    void on_read(const Error& error, std::size_t bytes);
    void process(std::size_t inline_bytes);
    ReadEnd read_now(MutableBytes into, std::size_t& bytes);
    void deliver(Bytes wire);
    bool introduce(Bytes wire, ByteBuffer& behind);
    void deliver_unread();
    /// The peer has ended: as soon as everything that came before has been consumed.
    void end_after_input(std::string why);
    bool ended_after_input();
    void note_ready();
    void discard_input();

    void pump();
    bool encode_more();
    void sent_everything();
    void wait_writable();
    void write_failed(const std::string& why);
    void fail(const std::string& why);
    void drop_after(const std::exception& thrown) noexcept;

    Socket socket_;
    ChannelHandler* handler_ = nullptr;
    FilterChain filters_;
    OutputQueue output_;
    ByteBuffer wire_;            ///< encrypted; borrowed from the thread while not empty
    std::size_t wire_sent_ = 0;  ///< of it, taken by the socket
    ByteBuffer unread_;          ///< plain, from before a detach
    std::unique_ptr<const std::string>
        ending_;          ///< the peer has ended; why, once the handler takes input again
    int read_error_ = 0;  ///< why the connection ends once what was read is delivered; 0: by the peer
    std::unique_ptr<boost::asio::steady_timer> grace_;  ///< only while closing
    OwnerThread owner_;
    Phase phase_ = Phase::open;
    bool ready_ = false;
    bool reading_ = false;     ///< an asynchronous read is under way
    bool processing_ = false;  ///< inside process(), which will ask for the next read itself
    bool paused_ = false;
    bool write_waiting_ = false;  ///< for the socket to become writable
    bool write_broken_ = false;
    bool farewell_said_ = false;
    bool peer_ended_ = false;
    std::uint8_t held_bytes_ = 0;  ///< of inline_, read while paused
    std::array<std::uint8_t, 128> inline_;
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
