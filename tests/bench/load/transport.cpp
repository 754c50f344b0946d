#include "transport.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace bench {
namespace {

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

int connected_socket(std::uint16_t port) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) fail("socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Blocking: on loopback a connect takes microseconds, unless the broker's backlog is full.
    if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(descriptor);
        fail("connect");
    }
    const int on = 1;
    ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
    return descriptor;
}

}  // namespace

TlsContext make_tls_context() {
    TlsContext context(SSL_CTX_new(TLS_client_method()));
    if (!context) throw std::runtime_error("OpenSSL gives no context");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    return context;
}

Transport::Transport(std::uint16_t port, SSL_CTX* context, SSL_SESSION* session)
    : descriptor_(connected_socket(port)) {
    if (!context) return;
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), descriptor_);
    if (session) SSL_set_session(ssl_.get(), session);
    SSL_set_connect_state(ssl_.get());
}

Transport::Transport(Transport&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), ssl_(std::move(other.ssl_)) {}

Transport::~Transport() {
    // Without a word of good-bye OpenSSL would not let the session be resumed.
    if (ssl_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    if (descriptor_ >= 0) ::close(descriptor_);
}

Transport::Moved Transport::judge(int result) const {
    if (result > 0) return {Outcome::done, static_cast<std::size_t>(result)};
    const int error = SSL_get_error(ssl_.get(), result);
    ERR_clear_error();
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return {Outcome::would_block, 0};
    return {Outcome::closed, 0};
}

Transport::Moved Transport::read(std::span<char> into) {
    if (ssl_) return judge(SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size())));
    const ssize_t got = ::recv(descriptor_, into.data(), into.size(), 0);
    if (got > 0) return {Outcome::done, static_cast<std::size_t>(got)};
    return {got < 0 && errno == EAGAIN ? Outcome::would_block : Outcome::closed, 0};
}

Transport::Moved Transport::write(std::span<const char> bytes) {
    if (ssl_) return judge(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())));
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return {Outcome::done, static_cast<std::size_t>(sent)};
    return {errno == EAGAIN ? Outcome::would_block : Outcome::closed, 0};
}

bool Transport::finish_handshake() {
    if (!ssl_) return true;
    const Moved moved = judge(SSL_do_handshake(ssl_.get()));
    if (moved.outcome == Outcome::closed) throw std::runtime_error("the TLS handshake failed");
    return moved.outcome == Outcome::done;
}

}  // namespace bench
