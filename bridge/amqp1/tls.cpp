#include "bridge/amqp1/tls.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <array>

namespace sluice::bridge::amqp1 {
namespace {

/// The oldest error of this thread's queue, which is then empty.
std::string openssl_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* text = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return text ? text : "unknown error";
}

bool is_ip_address(const std::string& host) {
    std::array<unsigned char, 16> address{};
    return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

int give_password(char* buffer, int size, int /*writing*/, void* password) {
    const auto& text = *static_cast<const std::string*>(password);
    if (static_cast<int>(text.size()) > size) return -1;
    text.copy(buffer, text.size());
    return static_cast<int>(text.size());
}

}  // namespace

Result<std::unique_ptr<Tls>, std::string> Tls::make(const TlsSettings& settings, const std::string& host) {
    ERR_clear_error();
    // The checks first: they say what is wrong with a file in words for an operator.
    if (auto checked = check_tls(settings); !checked) return Err{checked.error()};
    std::unique_ptr<Tls> tls(new Tls);
    if (auto loaded = tls->load(settings); !loaded) return Err{loaded.error()};
    tls->ssl_.reset(SSL_new(tls->context_.get()));
    tls->from_wire_ = BIO_new(BIO_s_mem());
    tls->to_wire_ = BIO_new(BIO_s_mem());
    if (!tls->ssl_ || !tls->from_wire_ || !tls->to_wire_) return Err{std::string("TLS: out of memory")};
    SSL_set_bio(tls->ssl_.get(), tls->from_wire_, tls->to_wire_);
    SSL_set_connect_state(tls->ssl_.get());
    tls->host_ = host;
    if (!is_ip_address(host)) SSL_set_tlsext_host_name(tls->ssl_.get(), host.c_str());
    if (settings.server_name_check)
        if (auto expected = tls->expect_host(host); !expected) return Err{expected.error()};
    return tls;
}

Result<void, std::string> Tls::load(const TlsSettings& settings) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* context = context_.get();
    if (!context) return Err{fmt::format("TLS: {}", openssl_error())};
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    const bool trusts = settings.ca_file.empty()
                            ? SSL_CTX_set_default_verify_paths(context) == 1
                            : SSL_CTX_load_verify_file(context, settings.ca_file.c_str()) == 1;
    if (!trusts) return Err{fmt::format("ca_file: {}: {}", settings.ca_file, openssl_error())};
    if (settings.certificate.empty()) return {};
    SSL_CTX_set_default_passwd_cb(context, &give_password);
    SSL_CTX_set_default_passwd_cb_userdata(context, const_cast<std::string*>(&settings.key_password));
    const bool loaded = SSL_CTX_use_certificate_chain_file(context, settings.certificate.c_str()) == 1;
    if (!loaded) return Err{fmt::format("certificate: {}: {}", settings.certificate, openssl_error())};
    if (SSL_CTX_use_PrivateKey_file(context, settings.key.c_str(), SSL_FILETYPE_PEM) != 1)
        return Err{fmt::format("key: {}: {}", settings.key, openssl_error())};
    return {};
}

Result<void, std::string> Tls::expect_host(const std::string& host) {
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool set = is_ip_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1
                                         : X509_VERIFY_PARAM_set1_host(parameters, host.c_str(), 0) == 1;
    if (!set) return Err{fmt::format("TLS: '{}' cannot be checked against a certificate", host)};
    return {};
}

Tls::Step Tls::handshake() {
    ERR_clear_error();
    return judge(SSL_do_handshake(ssl_.get()));
}

void Tls::put_encrypted(std::string_view bytes) {
    BIO_write(from_wire_, bytes.data(), static_cast<int>(bytes.size()));
}

Tls::Step Tls::read(char* to, std::size_t size, std::size_t& got) {
    ERR_clear_error();
    return judge(SSL_read_ex(ssl_.get(), to, size, &got));
}

Tls::Step Tls::write(std::string_view bytes, std::size_t& taken) {
    ERR_clear_error();
    return judge(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &taken));
}

std::string& Tls::encrypted() {
    std::array<char, 16384> block{};
    for (int got = 0; (got = BIO_read(to_wire_, block.data(), block.size())) > 0;)
        encrypted_.append(block.data(), static_cast<std::size_t>(got));
    return encrypted_;
}

Tls::Step Tls::judge(int result) {
    if (result == 1) return Step::done;
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ) return Step::wants_input;
    if (error == SSL_ERROR_ZERO_RETURN) return Step::closed;
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        why_ = fmt::format("the server's certificate does not name '{}' ({})", host_,
                           X509_verify_cert_error_string(verdict));
    } else if (verdict != X509_V_OK) {
        why_ = fmt::format("the server's certificate is not trusted ({}); is `ca_file` the right one?",
                           X509_verify_cert_error_string(verdict));
    } else {
        why_ = fmt::format("TLS: {}", openssl_error());
    }
    ERR_clear_error();
    return Step::failed;
}

}  // namespace sluice::bridge::amqp1
