#include "bridge/mqtt/stream.hpp"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace sluice::bridge::mqtt {
namespace {

constexpr std::size_t read_bytes_max = 256UL * 1024;
constexpr std::size_t read_step_bytes = 16UL * 1024;

}  // namespace

bool Stream::flush() {
    while (pending_bytes() > 0) {
        std::size_t put = 0;
        const Moved moved = socket_->write(Bytes(out_).subspan(sent_), put);
        if (moved == Moved::none) break;
        if (moved != Moved::some) return false;
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
        const Moved moved = socket_->read(MutableBytes(into).subspan(begin), got);
        into.resize(begin + (moved == Moved::some ? got : 0));
        if (moved == Moved::none) break;
        if (moved != Moved::some) return false;
    }
    return true;
}

std::string Stream::problem() const {
    return socket_->problem().empty() ? "the server closed the connection" : socket_->problem();
}

/// A peer that closes with bytes unread resets the connection. With TLS these words are the same.
bool Stream::is_closed_by_peer() const {
    const std::string& problem = socket_->problem();
    return problem.empty() || problem == std::strerror(ECONNRESET) || problem == std::strerror(EPIPE);
}

std::uint64_t Stream::acknowledged_bytes() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(fd(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return info.tcpi_bytes_acked;
}

}  // namespace sluice::bridge::mqtt
