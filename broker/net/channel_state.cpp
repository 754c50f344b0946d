#include "net/channel_state.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "net/thread_buffers.hpp"

namespace sluice::net {
namespace {

// One connection may not keep its thread longer than this much input per wake-up.
constexpr std::size_t wake_bytes_max = 256 * 1024;
constexpr std::chrono::seconds grace_max{5};
// Answers of the filters that wait for the socket: more than a flush leaves behind.
constexpr std::size_t reply_bytes_max = 256 * 1024;

int family_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    return ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 ? address.ss_family
                                                                                : AF_UNSPEC;
}

}  // namespace

Channel::State::State(Socket socket, Filters filters)
    : identity(std::make_unique<PeerIdentity>()),
      socket_(std::move(socket)),
      filters_(std::move(filters)),
      ready_(filters_.empty()) {
    prepare_socket();
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    if (socket_.is_open()) ::getpeername(socket_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size);
    identity->address = endpoint_text(peer);
    identity->ip = ip_of(peer);
}

Channel::State::State(boost::asio::io_context& context, DetachedChannel detached)
    : identity(std::make_unique<PeerIdentity>(std::move(detached.identity))),
      lease(std::move(detached.lease)),
      socket_(context),
      filters_(std::move(detached.filters)),
      output_(std::move(detached.output)),
      wire_(std::move(detached.wire)),
      unread_(std::move(detached.unread)) {
    if (!detached.ending.empty()) ending_ = std::make_unique<std::string>(std::move(detached.ending));
    ready_ = filters_.ready();
    Error error;
    const int family = family_of(detached.fd);
    socket_.assign({family, family == AF_UNIX ? 0 : IPPROTO_TCP}, detached.fd, error);
    // A socket that cannot be adopted is still closed by `detached`; start() reports it.
    if (!error) detached.fd = -1;
    prepare_socket();
}

void Channel::State::prepare_socket() {
    if (!socket_.is_open()) return;
    Error ignored;
    socket_.native_non_blocking(true, ignored);
    const int on = 1, fd = socket_.native_handle();
    // Both fail on a Unix socket, which needs neither.
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

void Channel::State::start(ChannelHandler& handler) {
    owner_.adopt();
    CHECK(handler_ == nullptr);
    if (phase_ != Phase::open) return;
    handler_ = &handler;
    post([this] { begin(); });
}

void Channel::State::begin() {
    if (!socket_.is_open()) return fail("the socket could not be taken over");
    flush();
    deliver_unread();
    if (!ended_after_input()) read_more();
}

void Channel::State::deliver_unread() {
    if (unread_.empty() || paused_ || !handler_) return;
    const ByteBuffer bytes = std::exchange(unread_, {});
    processing_ = true;
    handler_->on_bytes(bytes);
    processing_ = false;
}

// A handler that has paused has bytes in hand that it will look at later, perhaps on another thread: a client
// may say all it has to say and its farewell in one breath.
void Channel::State::end_after_input(std::string why) {
    ending_ = std::make_unique<std::string>(std::move(why));
    ended_after_input();
}

bool Channel::State::ended_after_input() {
    if (!ending_ || paused_ || !handler_) return false;
    const auto why = std::move(ending_);
    fail(*why);
    return true;
}

void Channel::State::pause_reading() {
    owner_.check();
    paused_ = true;
}

void Channel::State::resume_reading() {
    owner_.check();
    if (!paused_) return;
    paused_ = false;
    if (processing_ || !handler_) return;
    if (unread_.empty() && held_bytes_ == 0 && !ending_) return read_more();
    post([this] {
        if (paused_) return;
        deliver_unread();
        if (ended_after_input()) return;
        if (held_bytes_ > 0 && !paused_ && phase_ == Phase::open) {
            process(std::exchange(held_bytes_, std::uint8_t{0}));
        } else {
            read_more();
        }
    });
}

bool Channel::State::peer_ended() {
    if (!socket_.is_open()) return true;
    pollfd look{socket_.native_handle(), POLLRDHUP, 0};
    return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Channel::State::read_more() {
    const bool wanted = phase_ == Phase::closing || (phase_ == Phase::open && handler_ && !paused_);
    // A peer that asks (pings) and does not read the answers is not listened to until it does.
    if (phase_ == Phase::open && wire_.size() - wire_sent_ > reply_bytes_max) return;
    if (!wanted || reading_ || processing_ || held_bytes_ > 0 || peer_ended_ || ending_) return;
    reading_ = true;
    socket_.async_read_some(boost::asio::buffer(inline_),
                            [self = Self(this)](const Error& error, std::size_t bytes) {
                                self->reading_ = false;
                                self->guarded([&] { self->on_read(error, bytes); });
                            });
}

void Channel::State::on_read(const Error& error, std::size_t bytes) {
    if (phase_ == Phase::closed) return;
    if (phase_ == Phase::closing) {
        if (!error) return discard_input();
        peer_ended_ = true;
        // After a clean end of the peer's half, ours may still have something to say.
        if (error != boost::asio::error::eof || unsent_bytes() == 0) close_now();
        return;
    }
    if (error == boost::asio::error::eof)
        return fail(ready_ ? "closed by the peer" : "closed by the peer during the handshake");
    if (error) return fail(text_of_errno(error.value()));
    if (paused_) {
        held_bytes_ = static_cast<std::uint8_t>(bytes);
        return;
    }
    process(bytes);
}

Channel::State::ReadEnd Channel::State::read_now(MutableBytes into, std::size_t& bytes) {
    ssize_t got = 0;
    do {
        got = ::recv(socket_.native_handle(), into.data(), into.size(), MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        bytes = static_cast<std::size_t>(got);
        return bytes == into.size() ? ReadEnd::more : ReadEnd::drained;
    }
    bytes = 0;
    if (got < 0 && would_block(errno)) return ReadEnd::drained;
    read_error_ = got == 0 ? 0 : errno;
    return ReadEnd::ended;
}

void Channel::State::process(std::size_t inline_bytes) {
    const MutableBytes buffer = ThreadBuffers::mine().read();
    std::memcpy(buffer.data(), inline_.data(), inline_bytes);
    std::size_t bytes = 0, total = 0;
    // A small message that left the inline buffer unfilled needs no second system call.
    ReadEnd end =
        inline_bytes == inline_.size() ? read_now(buffer.subspan(inline_bytes), bytes) : ReadEnd::drained;
    bytes += inline_bytes;
    processing_ = true;
    while (bytes > 0) {
        deliver(buffer.first(bytes));
        total += bytes;
        if (!handler_ || paused_ || end != ReadEnd::more || total >= wake_bytes_max) break;
        end = read_now(buffer, bytes);
    }
    processing_ = false;
    if (phase_ == Phase::closed) return;
    if (wire_.size() > wire_sent_) pump();
    if (phase_ == Phase::open && handler_ && end == ReadEnd::ended)
        return end_after_input(read_error_ == 0 ? "closed by the peer" : text_of_errno(read_error_));
    read_more();
}

// True when the introduction is over: `behind` is what came behind it.
bool Channel::State::introduce(Bytes wire, ByteBuffer& behind) {
    Filter& first = *filters_.introduction();
    ByteBuffer reply;  // it answers nothing
    if (auto received = first.receive(wire, behind, reply); !received) {
        fail(received.error().what);
        return false;
    }
    if (!first.ready()) return false;
    first.identify(*identity);
    filters_.end_introduction();
    handler_->on_introduced();
    if (!handler_) return false;
    note_ready();
    return !behind.empty();
}

void Channel::State::deliver(Bytes wire) {
    ByteBuffer behind;
    if (filters_.introduction() != nullptr) {
        if (!introduce(wire, behind)) return;
        wire = behind;
    }
    if (filters_.empty()) return handler_->on_bytes(wire);
    ByteBuffer& plain = ThreadBuffers::mine().plain;
    plain.clear();
    if (wire_.capacity() == 0) wire_ = ThreadBuffers::mine().borrow();
    const auto received = filters_.receive(wire, plain, wire_);
    note_ready();
    // Before the handler is called: it may take the channel elsewhere.
    if (!received) ending_ = std::make_unique<std::string>(received.error().what);
    if (!plain.empty()) handler_->on_bytes(plain);
    ended_after_input();
}

void Channel::State::note_ready() {
    if (ready_ || !filters_.ready()) return;
    ready_ = true;
    filters_.identify(*identity);
    if (!output_.empty()) pump();
}

void Channel::State::discard_input() {
    std::size_t bytes = 0, total = 0;
    ReadEnd end = ReadEnd::more;
    while (end == ReadEnd::more && total < wake_bytes_max) {
        end = read_now(ThreadBuffers::mine().read(), bytes);
        total += bytes;
    }
    if (end == ReadEnd::ended) {
        peer_ended_ = true;
        if (unsent_bytes() == 0) close_now();
        return;
    }
    read_more();
}

void Channel::State::drop_after(const std::exception& thrown) noexcept {
    processing_ = false;
    try {
        log::error(fmt::format("net: connection dropped peer={} exception={}",
                               identity ? identity->address : "(a client)", thrown.what()));
        fail(fmt::format("internal error: {}", thrown.what()));
    } catch (const std::exception&) {
        close_now();
    }
}

void Channel::State::fail(const std::string& why) {
    if (phase_ != Phase::open) return;
    ChannelHandler* handler = handler_;
    output_.clear();
    if (!write_broken_ && socket_.is_open() && wire_.size() > wire_sent_) {
        close_after_flush(grace_max);  // an alert or an error answer is still on its way out
    } else {
        close_now();
    }
    if (handler) handler->on_closed(why);
}

void Channel::State::close_after_flush(std::chrono::milliseconds grace) {
    owner_.check();
    if (phase_ != Phase::open) return;
    handler_ = nullptr;
    if (!socket_.is_open() || write_broken_) return close_now();
    phase_ = Phase::closing;
    held_bytes_ = 0;
    unread_.clear();
    ending_.reset();
    if (!ready_) output_.clear();
    grace_ = std::make_unique<boost::asio::steady_timer>(socket_.get_executor());
    grace_->expires_after(std::min<std::chrono::milliseconds>(grace, grace_max));
    grace_->async_wait([self = Self(this)](const Error& error) {
        if (!error) self->close_now();
    });
    const Self self(this);
    pump();
    if (phase_ == Phase::closing) read_more();
}

void Channel::State::close_now() {
    phase_ = Phase::closed;
    handler_ = nullptr;
    output_.clear();
    wire_.clear();
    wire_sent_ = 0;
    Error ignored;
    if (socket_.is_open()) socket_.close(ignored);
    lease.reset();
    if (grace_) grace_->cancel();
}

DetachedChannel Channel::State::detach(Bytes unconsumed) {
    owner_.check();
    CHECK(detachable());
    flush();
    DetachedChannel out;
    phase_ = Phase::closed;
    handler_ = nullptr;
    if (identity) out.identity = std::move(*identity);
    out.lease = std::move(lease);
    if (ending_) out.ending = *ending_;
    out.filters = filters_.release();
    append(out.unread, unconsumed);
    append(out.unread, unread_);
    append(out.wire, Bytes(wire_).subspan(wire_sent_));
    out.output = std::move(output_);
    wire_.clear();
    wire_sent_ = 0;
    Error error;
    out.fd = socket_.is_open() ? socket_.release(error) : -1;
    if (error) out.fd = -1;
    return out;
}

}  // namespace sluice::net
