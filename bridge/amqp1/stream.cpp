#include "bridge/amqp1/stream.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "bridge/tcp_connect.hpp"

namespace sluice::bridge::amqp1 {
namespace {

constexpr std::size_t block_bytes = 16384;  // of a TLS record

}  // namespace

Result<std::unique_ptr<Stream>, std::string> Stream::open(const ServerAddress& server, const TlsSettings& tls,
                                                          Worker& worker, Steady::time_point deadline) {
    auto fd = tcp_connect(server, worker, deadline);
    if (!fd) return Err{fd.error()};
    std::unique_ptr<Stream> stream(new Stream(*fd));
    if (tls.enabled())
        if (auto started = stream->start_tls(server, tls, worker, deadline); !started)
            return Err{fmt::format("{}: {}", to_text(server), started.error())};
    return stream;
}

Stream::~Stream() {
    ::close(fd_);
}

Result<void, std::string> Stream::start_tls(const ServerAddress& server, const TlsSettings& tls,
                                            Worker& worker, Steady::time_point deadline) {
    auto made = Tls::make(tls, server.host);
    if (!made) return Err{made.error()};
    tls_ = std::move(made).value();
    for (;;) {
        const Tls::Step step = tls_->handshake();
        const bool sent = send_encrypted();  // also of what failed: the alert tells the server why
        if (step == Tls::Step::done) return {};
        if (step == Tls::Step::failed) return Err{tls_->why()};
        if (step == Tls::Step::closed || !sent)
            return Err{std::string("the server closed the connection in the TLS handshake")};
        std::array<char, block_bytes> block;
        const ssize_t got = receive(block.data(), block.size());
        if (got < 0)
            return Err{why_.empty() ? "the server closed the connection in the TLS handshake; does it take "
                                      "TLS on this port?"
                                    : fmt::format("in the TLS handshake: {}", why_)};
        tls_->put_encrypted({block.data(), static_cast<std::size_t>(got)});
        if (got > 0) continue;
        const short events = unsent_ ? POLLIN | POLLOUT : POLLIN;
        if (const int error = await_socket(fd_, events, worker, deadline); error != 0)
            return Err{fmt::format("no answer in the TLS handshake: {}", std::strerror(error))};
    }
}

ssize_t Stream::read(char* to, std::size_t size) {
    if (!tls_) return receive(to, size);
    for (;;) {
        std::size_t got = 0;
        switch (tls_->read(to, size, got)) {
            case Tls::Step::done:
                return static_cast<ssize_t>(got);
            case Tls::Step::closed:
                return -1;
            case Tls::Step::failed:
                send_encrypted();
                return fail(tls_->why());
            case Tls::Step::wants_input:
                break;
        }
        std::array<char, block_bytes> block;
        const ssize_t received = receive(block.data(), block.size());
        if (received <= 0) return received;
        tls_->put_encrypted({block.data(), static_cast<std::size_t>(received)});
    }
}

ssize_t Stream::write(std::string_view bytes) {
    if (!tls_) return send(bytes);
    if (!send_encrypted()) return -1;
    if (unsent_ || bytes.empty()) return 0;
    std::size_t taken = 0;
    switch (tls_->write(bytes.substr(0, block_bytes), taken)) {
        case Tls::Step::done:
            break;
        case Tls::Step::wants_input:
            return 0;
        case Tls::Step::closed:
            return -1;
        case Tls::Step::failed:
            return fail(tls_->why());
    }
    return send_encrypted() ? static_cast<ssize_t>(taken) : -1;
}

ssize_t Stream::receive(char* to, std::size_t size) {
    const ssize_t got = ::recv(fd_, to, size, 0);
    if (got > 0) return got;
    if (got == 0) return -1;
    return errno == EAGAIN || errno == EINTR ? 0 : fail(std::strerror(errno));
}

ssize_t Stream::send(std::string_view bytes) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : fail(std::strerror(errno));
}

/// False when the connection is gone.
bool Stream::send_encrypted() {
    std::string& waiting = tls_->encrypted();
    while (!waiting.empty()) {
        const ssize_t sent = send(waiting);
        if (sent < 0) return false;
        if (sent == 0) break;
        waiting.erase(0, static_cast<std::size_t>(sent));
    }
    unsent_ = !waiting.empty();
    return true;
}

ssize_t Stream::fail(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    return -1;
}

}  // namespace sluice::bridge::amqp1
