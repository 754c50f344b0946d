#include "net/channel_state.hpp"

#include <fmt/format.h>
#include <netinet/in.h>
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
constexpr std::size_t wake_bytes_max = ThreadBuffers::read_bytes;
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
    : identity(std::make_unique<PeerIdentity>()), socket_(std::move(socket)), ready_(filters.empty()) {
    if (!filters.empty()) coder_.reset(new Coder{FilterChain(std::move(filters)), {}});
    sockaddr_storage peer{};
    if (socket_.is_open()) {
        Error ignored;
        socket_.native_non_blocking(true, ignored);
        socklen_t size = sizeof(peer);
        ::getpeername(socket_.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size);
    }
    identity->address = endpoint_text(peer);
    identity->ip = ip_of(peer);
}

Channel::State::State(boost::asio::io_context& context, DetachedChannel detached)
    : identity(std::make_unique<PeerIdentity>(std::move(detached.identity))),
      lease(std::move(detached.lease)),
      socket_(context),
      output_(std::move(detached.output)) {
    if (!detached.filters.empty() || !detached.wire.empty())
        coder_.reset(new Coder{FilterChain(std::move(detached.filters)), std::move(detached.wire)});
    if (!detached.unread.empty()) due().unread = std::move(detached.unread);
    if (!detached.ending.empty()) due().ending = std::move(detached.ending);
    ready_ = filters_ready();
    Error error;
    const int family = family_of(detached.fd);
    socket_.assign({family, family == AF_UNIX ? 0 : IPPROTO_TCP}, detached.fd, error);
    // A socket that cannot be adopted is still closed by `detached`; start() reports it.
    if (!error) detached.fd = -1;
    if (!error) socket_.native_non_blocking(true, error);
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

Channel::State::Due& Channel::State::due() {
    if (!due_) due_ = std::make_unique<Due>();
    return *due_;
}

void Channel::State::deliver_unread() {
    if (!due_ || due_->unread.empty() || paused_ || !handler_) return;
    const ByteBuffer bytes = std::exchange(due_->unread, {});
    if (!has_ended()) due_.reset();
    processing_ = true;
    handler_->on_bytes(bytes);
    processing_ = false;
}

// A handler that has paused has bytes in hand that it will look at later, perhaps on another thread: a client
// may say all it has to say and its farewell in one breath.
void Channel::State::end_after_input(std::string why) {
    due().ending = std::move(why);
    ended_after_input();
}

bool Channel::State::ended_after_input() {
    if (!has_ended() || paused_ || !handler_) return false;
    const auto due = std::move(due_);
    fail(*due->ending);
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
    if (!due_) return read_more();
    post([this] {
        if (paused_) return;
        deliver_unread();
        if (!ended_after_input()) read_more();
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
    if (phase_ == Phase::open && unsent_wire_bytes() > reply_bytes_max) return;
    if (!wanted || reading_ || processing_ || peer_ended_ || has_ended()) return;
    reading_ = true;
    socket_.async_wait(Socket::wait_read, Reader{Self(this)});
}

void Channel::State::on_readable(const Error& error) {
    if (phase_ == Phase::closed) return;
    if (error) return phase_ == Phase::closing ? close_now() : fail(text_of_errno(error.value()));
    if (phase_ == Phase::closing) return discard_input();
    if (paused_) return notice_end();
    process();
}

// Bytes that nobody wants yet stay where they are, and nobody is woken for more of them.
void Channel::State::notice_end() {
    std::uint8_t first = 0;
    const ssize_t got = ::recv(socket_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got > 0 || (got < 0 && (would_block(errno) || errno == EINTR))) return;
    read_error_ = got == 0 ? 0 : errno;
    fail(why_closed());
}

std::string Channel::State::why_closed() const {
    if (read_error_ != 0) return text_of_errno(read_error_);
    return ready_ ? "closed by the peer" : "closed by the peer during the handshake";
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

void Channel::State::process() {
    const MutableBytes buffer = ThreadBuffers::mine().read();
    std::size_t bytes = 0, total = 0;
    processing_ = true;
    ReadEnd end = read_now(buffer, bytes);
    while (bytes > 0) {
        deliver(buffer.first(bytes));
        total += bytes;
        if (!handler_ || paused_ || end != ReadEnd::more || total >= wake_bytes_max) break;
        end = read_now(buffer, bytes);
    }
    processing_ = false;
    if (phase_ == Phase::closed) return;
    if (unsent_wire_bytes() > 0) pump();
    if (phase_ == Phase::open && handler_ && end == ReadEnd::ended) return end_after_input(why_closed());
    read_more();
}

// True when the introduction is over: `behind` is what came behind it.
bool Channel::State::introduce(Bytes wire, ByteBuffer& behind) {
    Filter& first = *coder_->filters.introduction();
    ByteBuffer reply;  // it answers nothing
    if (auto received = first.receive(wire, behind, reply); !received) {
        fail(received.error().what);
        return false;
    }
    if (!first.ready()) return false;
    first.identify(*identity);
    coder_->filters.end_introduction();
    if (coder_->filters.empty() && coder_->wire.empty()) coder_.reset();
    handler_->on_introduced();
    if (!handler_) return false;
    note_ready();
    return !behind.empty();
}

void Channel::State::deliver(Bytes wire) {
    ByteBuffer behind;
    if (coder_ && coder_->filters.introduction() != nullptr) {
        if (!introduce(wire, behind)) return;
        wire = behind;
    }
    if (!coder_ || coder_->filters.empty()) return handler_->on_bytes(wire);
    ByteBuffer& plain = ThreadBuffers::mine().plain;
    plain.clear();
    if (coder_->wire.capacity() == 0) coder_->wire = ThreadBuffers::mine().borrow();
    const auto received = coder_->filters.receive(wire, plain, coder_->wire);
    note_ready();
    // Before the handler is called: it may take the channel elsewhere.
    if (!received) due().ending = received.error().what;
    if (!plain.empty()) handler_->on_bytes(plain);
    ended_after_input();
}

void Channel::State::note_ready() {
    if (ready_ || !filters_ready()) return;
    ready_ = true;
    if (coder_) coder_->filters.identify(*identity);
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
        // After a clean end of the peer's half, ours may still have something to say.
        if (read_error_ != 0 || unsent_bytes() == 0) close_now();
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
    if (!write_broken_ && socket_.is_open() && unsent_wire_bytes() > 0) {
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
    due_.reset();
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
    drop_wire();
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
    append(out.unread, unconsumed);
    if (due_) append(out.unread, due_->unread);
    if (has_ended()) out.ending = std::move(*due_->ending);
    due_.reset();
    if (coder_) {
        out.filters = coder_->filters.release();
        append(out.wire, Bytes(coder_->wire).subspan(coder_->wire_sent));
        drop_wire();
    }
    out.output = std::move(output_);
    Error error;
    out.fd = socket_.is_open() ? socket_.release(error) : -1;
    if (error) out.fd = -1;
    return out;
}

}  // namespace sluice::net
