#include "bridge/mqtt/stream.hpp"

#include <fmt/format.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "bridge/tcp_connect.hpp"

namespace sluice::bridge::mqtt {
namespace {

constexpr std::size_t read_bytes_max = 256UL * 1024;
constexpr std::size_t read_step_bytes = 16UL * 1024;

}  // namespace

Result<std::unique_ptr<Stream>, std::string> Stream::open(const ServerAddress& server, const TlsSettings* tls,
                                                          Worker& worker, Steady::time_point deadline) {
    const auto fd = tcp_connect(server, worker, deadline);
    if (!fd) return Err{fd.error()};
    std::unique_ptr<Stream> stream(new Stream);
    stream->fd_ = *fd;
    if (tls) {
        if (auto shaken = stream->shake_hands(server, *tls, worker, deadline); !shaken)
            return Err{fmt::format("{}: {}", to_text(server), shaken.error())};
    }
    return stream;
}

Stream::~Stream() {
    tls_.reset();
    if (fd_ >= 0) ::close(fd_);
}

Result<void, std::string> Stream::shake_hands(const ServerAddress& server, const TlsSettings& tls,
                                              Worker& worker, Steady::time_point deadline) {
    auto made = TlsSession::make(tls, server.host, fd_);
    if (!made) return Err{made.error()};
    tls_ = std::move(made).value();
    using Step = TlsSession::Step;
    for (;;) {
        const Step step = tls_->handshake();
        if (step == Step::done) return {};
        if (step == Step::failed || step == Step::closed)
            return Err{fmt::format("the TLS handshake failed: {}", tls_->problem())};
        const short events = step == Step::wants_read ? POLLIN : POLLOUT;
        if (const int error = await_socket(fd_, events, worker, deadline); error != 0)
            return Err{fmt::format("the TLS handshake failed: {}", std::strerror(error))};
    }
}

short Stream::wanted() const {
    const bool output = pending_bytes() > 0 || tls_wants_write_;
    return static_cast<short>(output ? POLLIN | POLLOUT : POLLIN);
}

bool Stream::flush() {
    while (pending_bytes() > 0) {
        std::size_t put = 0;
        const Moved moved = write_some(Bytes(out_).subspan(sent_), put);
        if (moved == Moved::lost) return false;
        if (moved == Moved::none) break;
        sent_ += put;
        written_ += put;
    }
    if (sent_ == out_.size()) {
        out_.clear();
        sent_ = 0;
        if (out_.capacity() > read_bytes_max) out_.shrink_to_fit();
    } else if (sent_ > out_.size() / 2) {
        out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent_));
        sent_ = 0;
    }
    return true;
}

bool Stream::read(ByteBuffer& into) {
    const std::size_t end_max = into.size() + read_bytes_max;
    while (into.size() < end_max) {
        const std::size_t begin = into.size();
        into.resize(begin + read_step_bytes);
        std::size_t got = 0;
        const Moved moved = read_some(MutableBytes(into).subspan(begin), got);
        into.resize(begin + (moved == Moved::some ? got : 0));
        if (moved == Moved::lost) return false;
        if (moved == Moved::none) break;
    }
    return true;
}

Stream::Moved Stream::write_some(Bytes from, std::size_t& put) {
    if (tls_) return judge(tls_->write(from, put));
    const ssize_t sent = ::send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
        put = static_cast<std::size_t>(sent);
        return Moved::some;
    }
    if (errno == EAGAIN || errno == EINTR) return Moved::none;
    problem_ = std::strerror(errno);
    return Moved::lost;
}

Stream::Moved Stream::read_some(MutableBytes into, std::size_t& got) {
    if (tls_) return judge(tls_->read(into, got));
    const ssize_t received = ::recv(fd_, into.data(), into.size(), 0);
    if (received > 0) {
        got = static_cast<std::size_t>(received);
        return Moved::some;
    }
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) return Moved::none;
    problem_ = received == 0 ? "the server closed the connection" : std::strerror(errno);
    return Moved::lost;
}

Stream::Moved Stream::judge(TlsSession::Step step) {
    using Step = TlsSession::Step;
    tls_wants_write_ = step == Step::wants_write;
    if (step == Step::done) return Moved::some;
    if (step == Step::wants_read || step == Step::wants_write) return Moved::none;
    problem_ = tls_->problem();
    return Moved::lost;
}

std::uint64_t Stream::acknowledged_bytes() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return info.tcpi_bytes_acked;
}

}  // namespace sluice::bridge::mqtt
