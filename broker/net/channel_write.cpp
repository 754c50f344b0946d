/// The writing half of a channel: the queue, the filters, the socket.
#include <sys/socket.h>

#include "net/channel_state.hpp"
#include "net/thread_buffers.hpp"

namespace sluice::net {
namespace {
// Encrypt no more than this ahead of the socket: a slow reader's messages stay shared, unencrypted.
constexpr std::size_t encode_bytes = 64 * 1024;
}  // namespace

void Channel::State::flush() {
    owner_.check();
    if (phase_ == Phase::open && socket_.is_open()) pump();
}

// Filled until the socket's own share is large enough; false when there is nothing on its way.
bool Channel::State::encode_more() {
    ByteBuffer& wire = coder_->wire;
    if (ready_ && !output_.empty() && unsent_wire_bytes() < encode_bytes) {
        ThreadBuffers& shared = ThreadBuffers::mine();
        if (wire.capacity() == 0) wire = shared.borrow();
        const Bytes plain = output_.peek(encode_bytes, shared.gather);
        const auto sent = coder_->filters.send(plain, wire);
        output_.consume(plain.size());
        if (!sent) write_failed(sent.error().what);
    }
    const bool last = phase_ == Phase::closing && (output_.empty() || !ready_);
    if (last && !farewell_said_) {
        farewell_said_ = true;
        coder_->filters.close(wire);
    }
    return unsent_wire_bytes() > 0;
}

ssize_t Channel::State::write_wire() {
    Coder& coder = *coder_;
    const ssize_t sent = ::send(socket_.native_handle(), coder.wire.data() + coder.wire_sent,
                                unsent_wire_bytes(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) coder.wire_sent += static_cast<std::size_t>(sent);
    if (coder.wire_sent == coder.wire.size()) {
        coder.wire_sent = 0;
        ThreadBuffers::mine().give_back(std::move(coder.wire));
    }
    return sent;
}

void Channel::State::pump() {
    while (!write_waiting_ && !write_broken_) {
        ssize_t sent = 0;
        if (!coder_) {
            if (output_.empty()) return sent_everything();
            sent = output_.write_to(socket_.native_handle());
        } else {
            if (!encode_more()) return sent_everything();
            if (write_broken_) return;
            sent = write_wire();
        }
        if (sent >= 0 || errno == EINTR) continue;
        if (would_block(errno)) return wait_writable();
        return write_failed(text_of_errno(errno));
    }
}

void Channel::State::sent_everything() {
    if (phase_ != Phase::closing) return;
    Error ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    if (peer_ended_) return close_now();
    // Closing with unread input would reset the connection and could destroy what was just sent.
    read_more();
}

void Channel::State::wait_writable() {
    write_waiting_ = true;
    socket_.async_wait(Socket::wait_write, [self = Self(this)](const Error& error) {
        self->write_waiting_ = false;
        if (error || self->phase_ == Phase::closed) return;
        self->guarded([&] {
            self->pump();
            self->read_more();  // may have been held back by too many unsent answers
            const bool done = !self->write_waiting_ && !self->write_broken_ && self->unsent_bytes() == 0;
            if (done && self->handler_) self->handler_->on_writable();
        });
    });
}

// Reported from the io_context: the caller of flush() must not be called back from inside it.
void Channel::State::write_failed(const std::string& why) {
    if (std::exchange(write_broken_, true)) return;
    if (phase_ == Phase::closing) return close_now();
    output_.clear();
    post([this, why] { fail(why); });
}

}  // namespace sluice::net
