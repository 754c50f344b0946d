#include "bridge/tls_session.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::bridge {
namespace {

bool is_address(const std::string& host) {
    std::array<std::uint8_t, sizeof(in6_addr)> bytes{};
    return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

std::string reason_of(unsigned long error) {
    const char* text = ERR_reason_error_string(error);
    return text ? text : fmt::format("error {:#x}", error);
}

/// Never asks the terminal, as OpenSSL's own would.
int give_password(char* buffer, int size, int /*writing*/, void* password) {
    const auto& text = *static_cast<const std::string*>(password);
    if (text.empty() || static_cast<int>(text.size()) > size) return -1;
    std::copy(text.begin(), text.end(), buffer);
    return static_cast<int>(text.size());
}

}  // namespace

Result<std::unique_ptr<TlsSession>, std::string> TlsSession::make(const TlsSettings& settings,
                                                                  const std::string& host, int fd) {
    if (const auto checked = check_tls(settings); !checked) return Err{checked.error()};
    ERR_clear_error();
    const Context context(SSL_CTX_new(TLS_client_method()));
    if (!context) return Err{std::string("TLS cannot be set up: out of memory")};
    std::unique_ptr<TlsSession> session(
        new TlsSession(host, settings.ca_file.empty() ? "that the system trusts" : "in " + settings.ca_file));
    std::string problem = session->load(context.get(), settings);
    if (problem.empty()) problem = session->attach(context.get(), settings.server_name_check, fd);
    ERR_clear_error();
    if (!problem.empty()) return Err{std::move(problem)};
    return session;
}

std::string TlsSession::load(SSL_CTX* context, const TlsSettings& settings) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    const bool trusted = settings.ca_file.empty()
                             ? SSL_CTX_set_default_verify_paths(context) == 1
                             : SSL_CTX_load_verify_file(context, settings.ca_file.c_str()) == 1;
    if (!trusted)
        return fmt::format("ca_file: the CAs {} cannot be read: {}", ca_text_, reason_of(ERR_get_error()));
    if (settings.certificate.empty()) return {};
    if (SSL_CTX_use_certificate_chain_file(context, settings.certificate.c_str()) != 1)
        return fmt::format("certificate: {}: {}", settings.certificate, reason_of(ERR_get_error()));
    SSL_CTX_set_default_passwd_cb(context, &give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, const_cast<std::string*>(&settings.key_password));
    if (SSL_CTX_use_PrivateKey_file(context, settings.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return fmt::format("key: {}: {}", settings.key, reason_of(ERR_get_error()));
    return {};
}

std::string TlsSession::attach(SSL_CTX* context, bool name_check, int fd) {
    ssl_.reset(SSL_new(context));
    if (!ssl_ || SSL_set_fd(ssl_.get(), fd) != 1) return "TLS cannot be set up: out of memory";
    const bool address = is_address(host_);
    if (!address) SSL_set_tlsext_host_name(ssl_.get(), host_.c_str());
    if (!name_check) return {};
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host_.c_str())
                            : X509_VERIFY_PARAM_set1_host(parameters, host_.c_str(), host_.size());
    return set == 1 ? "" : fmt::format("'{}' is no host name that a certificate can have", host_);
}

TlsSession::Step TlsSession::handshake() {
    ERR_clear_error();
    return judge(SSL_connect(ssl_.get()));
}

TlsSession::Step TlsSession::read(MutableBytes into, std::size_t& got) {
    ERR_clear_error();
    return judge(SSL_read_ex(ssl_.get(), into.data(), into.size(), &got));
}

TlsSession::Step TlsSession::write(Bytes from, std::size_t& put) {
    ERR_clear_error();
    return judge(SSL_write_ex(ssl_.get(), from.data(), from.size(), &put));
}

TlsSession::Step TlsSession::judge(int result) {
    if (result == 1) return Step::done;
    const int system_error = errno;
    const int what = SSL_get_error(ssl_.get(), result);
    if (what == SSL_ERROR_WANT_READ) return Step::wants_read;
    if (what == SSL_ERROR_WANT_WRITE) return Step::wants_write;
    const unsigned long error = ERR_get_error();
    ERR_clear_error();
    if (what == SSL_ERROR_ZERO_RETURN || ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
        (what == SSL_ERROR_SYSCALL && system_error == 0))
        return Step::closed;
    problem_ = what == SSL_ERROR_SYSCALL ? std::strerror(system_error) : complaint(error);
    return Step::failed;
}

/// In the operator's words where the cause is known.
std::string TlsSession::complaint(unsigned long error) const {
    const long verdict = SSL_get_verify_result(ssl_.get());
    const char* words = X509_verify_cert_error_string(verdict);
    switch (verdict) {
        case X509_V_OK:
            break;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return fmt::format(
                "the server's certificate is not for '{}' ({}); expected the name in `servers` "
                "to be one that the certificate has",
                host_, words);
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return fmt::format("the server's certificate is not signed by a CA {} ({})", ca_text_, words);
        default:
            return fmt::format("the server's certificate is not accepted: {}", words);
    }
    if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
        return "the server does not speak TLS on this port (wrong version number)";
    return reason_of(error);
}

}  // namespace sluice::bridge
