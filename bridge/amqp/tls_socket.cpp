#include "bridge/amqp/tls_socket.hpp"

#include <amqp_ssl_socket.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace sluice::bridge::amqp {
namespace {

/// Where an SSL_CTX keeps its TlsSocket.
int owner_index() {
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

bool is_address(const std::string& host) {
    std::array<unsigned char, 16> bytes{};
    return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

}  // namespace

struct TlsSocket::Callbacks {
    static TlsSocket* owner(const SSL* ssl) {
        return static_cast<TlsSocket*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), owner_index()));
    }

    static int verify(int accepted, X509_STORE_CTX* store) {
        const auto* ssl =
            static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
        TlsSocket* self = owner(ssl);
        if (!accepted && self)
            self->certificate_problem_ = explain_certificate_error(X509_STORE_CTX_get_error(store));
        return accepted;
    }

    static void info(const SSL* ssl, int where, int value) {
        TlsSocket* self = owner(ssl);
        if (!self) return;
        if (where == SSL_CB_HANDSHAKE_START) self->begin(const_cast<SSL*>(ssl));
        if (where == SSL_CB_READ_ALERT) self->alert_ = value & 0xff;
    }
};

TlsSocket::~TlsSocket() {
    if (context_) SSL_CTX_set_ex_data(static_cast<SSL_CTX*>(context_), owner_index(), nullptr);
    watchdog_.forget();
    if (watched_fd_ >= 0) ::close(watched_fd_);
}

/// The first moment at which there is a socket that we can see, and a name can still be sent.
void TlsSocket::begin(ssl_st* ssl) {
    if (watched_fd_ >= 0) return;  // TLS 1.2: the server may want another handshake later
    ssl_ = ssl;
    begin_ = std::chrono::steady_clock::now();
    const int fd = SSL_get_fd(ssl);
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    watched_fd_ = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (watched_fd_ >= 0) watchdog_.watch(watched_fd_);
    // rabbitmq-c knows the number only: an address is no server name (RFC 6066, 3).
    SSL_set_tlsext_host_name(ssl, is_address(host_) ? nullptr : const_cast<char*>(host_.c_str()));
}

std::string TlsSocket::open(amqp_connection_state_t state, const TlsSettings& settings,
                            const std::string& numeric_host, std::uint16_t port,
                            std::chrono::milliseconds timeout) {
    amqp_socket_t* socket = amqp_ssl_socket_new(state);
    if (!socket) return "OpenSSL cannot be used";
    ERR_clear_error();
    if (auto problem = prepare(socket, settings); !problem.empty()) return problem;
    const timeval limit{timeout.count() / 1000, (timeout.count() % 1000) * 1000};
    const int status = amqp_socket_open_noblock(socket, numeric_host.c_str(), port, &limit);
    if (status != AMQP_STATUS_OK) return failure(status);
    await_verdict();
    return alert();
}

/// With TLS 1.3 the server looks at our certificate when for us the handshake is over. What it has against it
/// would be lost if we spoke first: what is sent to a socket that it has closed clears what we have not read
/// yet.
void TlsSocket::await_verdict() {
    using std::chrono::milliseconds;
    if (SSL_version(ssl_) < TLS1_3_VERSION) return;
    const auto took = std::chrono::ceil<milliseconds>(std::chrono::steady_clock::now() - begin_);
    pollfd waiting{SSL_get_fd(ssl_), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(std::clamp(took * 2, milliseconds(20), milliseconds(2000)).count()));
    if (waiting.revents == 0) return;
    char byte = 0;
    SSL_peek(ssl_, &byte, 1);  // AMQP's server is silent until it is spoken to: this is TLS alone
    ERR_clear_error();
}

std::string TlsSocket::prepare(amqp_socket_t* socket, const TlsSettings& settings) {
    context_ = amqp_ssl_socket_get_context(socket);
    auto* context = static_cast<SSL_CTX*>(context_);
    SSL_CTX_set_ex_data(context, owner_index(), this);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_info_callback(context, &Callbacks::info);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, &Callbacks::verify);
    // rabbitmq-c would compare the name with DNS names only, and with the number that we give it.
    amqp_ssl_socket_set_verify_hostname(socket, 0);
    if (settings.server_name_check) {
        X509_VERIFY_PARAM* param = SSL_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        const int set = is_address(host_) ? X509_VERIFY_PARAM_set1_ip_asc(param, host_.c_str())
                                          : X509_VERIFY_PARAM_set1_host(param, host_.c_str(), host_.size());
        if (set != 1) return fmt::format("'{}' cannot be looked for in a certificate", host_);
    }
    const bool has_ca = settings.ca_file.empty()
                            ? SSL_CTX_set_default_verify_paths(context) == 1
                            : amqp_ssl_socket_set_cacert(socket, settings.ca_file.c_str()) == AMQP_STATUS_OK;
    if (!has_ca) return fmt::format("ca_file: {}: OpenSSL does not take it", settings.ca_file);
    if (settings.certificate.empty()) return {};
    // Also an empty pass phrase: without one OpenSSL would ask the terminal.
    amqp_ssl_socket_set_key_passwd(socket, settings.key_password.c_str());
    if (amqp_ssl_socket_set_key(socket, settings.certificate.c_str(), settings.key.c_str()) != AMQP_STATUS_OK)
        return fmt::format("certificate: {}: OpenSSL does not take it with its key", settings.certificate);
    return {};
}

std::string TlsSocket::failure(int status) const {
    if (!certificate_problem_.empty()) return certificate_problem_;
    if (auto text = alert(); !text.empty()) return text;
    if (status != AMQP_STATUS_SSL_CONNECTION_FAILED) return amqp_error_string2(status);
    // What the handshake left behind in this thread; nothing when the server just hung up.
    const unsigned long error = ERR_peek_last_error();
    const char* reason = error ? ERR_reason_error_string(error) : nullptr;
    return fmt::format("TLS failed, perhaps this port of the server has none: {}",
                       reason ? reason : "the server closed the connection");
}

std::string TlsSocket::alert() const {
    if (alert_ == 0) return {};
    const auto meaning = explain_tls_alert(alert_);
    return meaning.empty() ? fmt::format("the server ended TLS with alert {} ({})", alert_,
                                         SSL_alert_desc_string_long(alert_))
                           : fmt::format("{} (TLS alert {})", meaning, alert_);
}

}  // namespace sluice::bridge::amqp
