#include "bridge/client_socket.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "bridge/tcp_connect.hpp"

namespace sluice::bridge {

Result<std::unique_ptr<ClientSocket>, std::string> ClientSocket::open(const ServerAddress& server,
                                                                      const TlsSettings& tls, Worker& worker,
                                                                      Steady::time_point deadline) {
    const auto fd = tcp_connect(server, worker, deadline);
    if (!fd) return Err{fd.error()};
    std::unique_ptr<ClientSocket> socket(new ClientSocket(*fd));
    if (tls.enabled())
        if (auto shaken = socket->shake_hands(server.host, tls, worker, deadline); !shaken)
            return Err{fmt::format("{}: {}", to_text(server), shaken.error())};
    return socket;
}

ClientSocket::~ClientSocket() {
    tls_.reset();
    ::close(fd_);
}

Result<void, std::string> ClientSocket::shake_hands(const std::string& host, const TlsSettings& tls,
                                                    Worker& worker, Steady::time_point deadline) {
    auto made = TlsSession::make(tls, host, fd_);
    if (!made) return Err{made.error()};
    tls_ = std::move(made).value();
    using Step = TlsSession::Step;
    for (;;) {
        const Step step = tls_->handshake();
        if (step == Step::done) return {};
        if (step == Step::closed)
            return Err{
                std::string("the TLS handshake failed: the server closed the connection; does it take "
                            "TLS on this port?")};
        if (step == Step::failed) return Err{fmt::format("the TLS handshake failed: {}", tls_->problem())};
        const short events = step == Step::wants_read ? POLLIN : POLLOUT;
        if (const int error = await_socket(fd_, events, worker, deadline); error != 0)
            return Err{fmt::format("the TLS handshake failed: no answer: {}", std::strerror(error))};
    }
}

ClientSocket::Moved ClientSocket::read(MutableBytes into, std::size_t& got) {
    if (tls_) return judge(tls_->read(into, got));
    const ssize_t received = ::recv(fd_, into.data(), into.size(), 0);
    return received == 0 ? Moved::closed : judge(received, got);
}

ClientSocket::Moved ClientSocket::write(Bytes from, std::size_t& put) {
    if (tls_) return judge(tls_->write(from, put));
    return judge(::send(fd_, from.data(), from.size(), MSG_NOSIGNAL), put);
}

short ClientSocket::wanted(bool has_output) const {
    return static_cast<short>(has_output || tls_wants_write_ ? POLLIN | POLLOUT : POLLIN);
}

ClientSocket::Moved ClientSocket::judge(TlsSession::Step step) {
    using Step = TlsSession::Step;
    tls_wants_write_ = step == Step::wants_write;
    switch (step) {
        case Step::done:
            return Moved::some;
        case Step::wants_read:
        case Step::wants_write:
            return Moved::none;
        case Step::closed:
            return Moved::closed;
        case Step::failed:
            break;
    }
    problem_ = tls_->problem();
    return Moved::lost;
}

ClientSocket::Moved ClientSocket::judge(ssize_t moved, std::size_t& count) {
    if (moved >= 0) {
        count = static_cast<std::size_t>(moved);
        return Moved::some;
    }
    if (errno == EAGAIN || errno == EINTR) return Moved::none;
    problem_ = std::strerror(errno);
    return Moved::lost;
}

}  // namespace sluice::bridge
