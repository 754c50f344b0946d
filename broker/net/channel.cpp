#include "net/channel.hpp"

#include <unistd.h>

#include "net/channel_state.hpp"

namespace sluice::net {

DetachedChannel& DetachedChannel::operator=(DetachedChannel&& other) noexcept {
    if (this == &other) return *this;
    if (fd >= 0) ::close(fd);
    fd = std::exchange(other.fd, -1);
    filters = std::move(other.filters);
    identity = std::move(other.identity);
    lease = std::move(other.lease);
    ending = std::move(other.ending);
    unread = std::move(other.unread);
    wire = std::move(other.wire);
    output = std::move(other.output);
    return *this;
}

DetachedChannel::~DetachedChannel() {
    if (fd >= 0) ::close(fd);
}

Channel::Channel(Socket socket, Filters filters) : state_(new State(std::move(socket), std::move(filters))) {}

Channel::Channel(boost::asio::io_context& context, DetachedChannel detached)
    : state_(new State(context, std::move(detached))) {}

Channel::~Channel() {
    if (state_ && state_->phase() == State::Phase::open) state_->close_now();
}

Channel::Channel(Channel&& other) noexcept = default;

Channel& Channel::operator=(Channel&& other) noexcept {
    if (this == &other) return *this;
    if (state_ && state_->phase() == State::Phase::open) state_->close_now();
    state_ = std::move(other.state_);
    return *this;
}

// A Channel that calls into its State holds it: a callback is never inside such a call, but a Channel may be
// destroyed by what the call releases (the last reference to a message, a handler).
void Channel::start(ChannelHandler& handler) {
    state_->start(handler);
}
void Channel::pause_reading() {
    state_->pause_reading();
}
void Channel::resume_reading() {
    state_->resume_reading();
}

bool Channel::peer_ended() const {
    return state_->peer_ended();
}

void Channel::send(Bytes bytes) {
    state_->check_owner();
    if (state_->phase() == State::Phase::open) state_->output().append_copy(bytes);
}

void Channel::send(std::initializer_list<OutputQueue::Part> parts, const core::MessagePtr& message) {
    state_->check_owner();
    if (state_->phase() == State::Phase::open) state_->output().append_parts(parts, message);
}

void Channel::flush() {
    state_->flush();
}
std::size_t Channel::unsent_bytes() const {
    return state_->unsent_bytes();
}
void Channel::close_after_flush(std::chrono::milliseconds grace) {
    state_->close_after_flush(grace);
}
void Channel::abort() {
    state_->check_owner();
    state_->close_now();
}
bool Channel::is_open() const {
    return state_ && state_->phase() == State::Phase::open;
}
bool Channel::ready() const {
    return state_->ready();
}
DetachedChannel Channel::detach(Bytes unconsumed) {
    return state_->detach(unconsumed);
}
bool Channel::detachable() const {
    return state_ && state_->detachable();
}
std::unique_ptr<SocketLease> Channel::hold(std::unique_ptr<SocketLease> lease) {
    if (!is_open() && !lingers()) return nullptr;
    return std::exchange(state_->lease, std::move(lease));
}
bool Channel::lingers() const {
    return state_ && state_->phase() == State::Phase::closing;
}
PeerIdentity& Channel::identity() {
    return *state_->identity;
}
const PeerIdentity& Channel::identity() const {
    return *state_->identity;
}
PeerIdentity Channel::take_identity() {
    const auto identity = std::move(state_->identity);
    return std::move(*identity);
}

}  // namespace sluice::net
