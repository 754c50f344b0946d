#include "net/tls_words.hpp"

#include <fmt/format.h>

#include <string_view>

namespace sluice::net::tls {
namespace {

std::string text_of(int error) {
    std::array<char, 160> text{};
    mbedtls_strerror(error, text.data(), text.size());
    return fmt::format("{} (-0x{:04x})", text.data(), static_cast<unsigned>(-error));
}

std::string_view alert_name(int alert) {
    switch (alert) {
        case MBEDTLS_SSL_ALERT_MSG_CLOSE_NOTIFY:
            return "close_notify";
        case MBEDTLS_SSL_ALERT_MSG_UNEXPECTED_MESSAGE:
            return "unexpected_message";
        case MBEDTLS_SSL_ALERT_MSG_BAD_RECORD_MAC:
            return "bad_record_mac";
        case MBEDTLS_SSL_ALERT_MSG_RECORD_OVERFLOW:
            return "record_overflow";
        case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
            return "handshake_failure";
        case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
            return "bad_certificate";
        case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
            return "unsupported_certificate";
        case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
            return "certificate_revoked";
        case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
            return "certificate_expired";
        case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
            return "certificate_unknown";
        case MBEDTLS_SSL_ALERT_MSG_ILLEGAL_PARAMETER:
            return "illegal_parameter";
        case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
            return "unknown_ca";
        case MBEDTLS_SSL_ALERT_MSG_ACCESS_DENIED:
            return "access_denied";
        case MBEDTLS_SSL_ALERT_MSG_DECODE_ERROR:
            return "decode_error";
        case MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR:
            return "decrypt_error";
        case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
            return "protocol_version";
        case MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY:
            return "insufficient_security";
        case MBEDTLS_SSL_ALERT_MSG_INTERNAL_ERROR:
            return "internal_error";
        case MBEDTLS_SSL_ALERT_MSG_USER_CANCELED:
            return "user_canceled";
        case MBEDTLS_SSL_ALERT_MSG_NO_RENEGOTIATION:
            return "no_renegotiation";
        default:
            return "";
    }
}

std::string alert_words(int alert) {
    const std::string_view known = alert_name(alert);
    const std::string name = known.empty() ? fmt::format("{}", alert) : std::string(known);
    switch (alert) {
        case MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA:
        case MBEDTLS_SSL_ALERT_MSG_BAD_CERT:
        case MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT:
        case MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN:
        case MBEDTLS_SSL_ALERT_MSG_CERT_REVOKED:
            return fmt::format("the client does not trust our certificate (alert {})", name);
        case MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED:
            return fmt::format("the client finds our certificate expired; are both clocks right? (alert {})",
                               name);
        case MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION:
        case MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE:
        case MBEDTLS_SSL_ALERT_MSG_INSUFFICIENT_SECURITY:
            return fmt::format("the client refused our TLS version or cipher suites (alert {})", name);
        default:
            return fmt::format("the client ended it (alert {})", name);
    }
}

/// UTF-8 text without control characters.
bool is_clean_text(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto c = static_cast<std::uint8_t>(text[i]);
        if (c < 0x20 || c == 0x7f) return false;
        const std::size_t more = c < 0x80                ? 0
                                 : c >= 0xc2 && c < 0xe0 ? 1
                                 : c >= 0xe0 && c < 0xf0 ? 2
                                 : c >= 0xf0 && c < 0xf5 ? 3
                                                         : 9;
        if (more == 9 || i + more >= text.size()) return false;
        for (std::size_t k = 1; k <= more; ++k)
            if ((static_cast<std::uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
        i += more + 1;
    }
    return !text.empty();
}

bool is_text_tag(int tag) {
    return tag == MBEDTLS_ASN1_UTF8_STRING || tag == MBEDTLS_ASN1_PRINTABLE_STRING ||
           tag == MBEDTLS_ASN1_IA5_STRING;
}

std::string_view value_of(const mbedtls_x509_name& name) {
    return {reinterpret_cast<const char*>(name.val.p), name.val.len};
}

/// RFC 4514, section 2.4: what has a meaning is escaped; what is not clean text is written in hexadecimal.
std::string escaped(const mbedtls_x509_name& name) {
    const std::string_view value = value_of(name);
    std::string out;
    if (!is_text_tag(name.val.tag) || !is_clean_text(value)) {
        out = fmt::format("#{:02x}", static_cast<unsigned>(name.val.tag));
        // BER length: values in a certificate are far below 64 KiB.
        out +=
            value.size() < 128 ? fmt::format("{:02x}", value.size()) : fmt::format("82{:04x}", value.size());
        for (const char c : value) out += fmt::format("{:02x}", static_cast<std::uint8_t>(c));
        return out;
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        const bool edge_space = c == ' ' && (i == 0 || i + 1 == value.size());
        if (edge_space || (c == '#' && i == 0) ||
            std::string_view("\",+;<>\\").find(c) != std::string_view::npos)
            out += '\\';
        out += c;
    }
    return out;
}

std::string attribute_of(const mbedtls_x509_name& name) {
    const char* short_name = nullptr;
    std::array<char, 128> dotted{};
    if (mbedtls_oid_get_attr_short_name(&name.oid, &short_name) != 0) {
        if (mbedtls_oid_get_numeric_string(dotted.data(), dotted.size(), &name.oid) < 0) return "?";
        short_name = dotted.data();
    }
    return fmt::format("{}={}", short_name, escaped(name));
}

}  // namespace

std::string certificate_complaint(std::uint32_t flags) {
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0)
        return "the client's certificate is not signed by client_ca";
    if ((flags & (MBEDTLS_X509_BADCERT_REVOKED)) != 0) return "the client's certificate is revoked";
    if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) return "the client's certificate has expired";
    if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0)
        return "the client's certificate is not valid yet; is this machine's clock right?";
    if ((flags & (MBEDTLS_X509_BADCERT_KEY_USAGE | MBEDTLS_X509_BADCERT_EXT_KEY_USAGE |
                  MBEDTLS_X509_BADCERT_NS_CERT_TYPE)) != 0)
        return "the client's certificate is not meant for TLS clients (extendedKeyUsage clientAuth)";
    if ((flags &
         (MBEDTLS_X509_BADCERT_BAD_MD | MBEDTLS_X509_BADCERT_BAD_PK | MBEDTLS_X509_BADCERT_BAD_KEY)) != 0)
        return "the client's certificate has a weak or unknown key, curve or signature";
    return fmt::format("the client's certificate cannot be verified (flags 0x{:x})", flags);
}

std::string handshake_failure(int error, const Ssl& ssl) {
    std::string why;
    switch (error) {
        case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
            why = "the client sent no certificate, and client_certificate = \"required\"";
            break;
        case error_bad_certificate:  // verified, but not for this use
        case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
            if (const std::uint32_t flags = mbedtls_ssl_get_verify_result(ssl.get()); flags != 0) {
                why = certificate_complaint(flags);
            } else {
                why = "the client's certificate message is malformed";
            }
            break;
        case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
            why = alert_words(alert_of(ssl));
            break;
        case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        case MBEDTLS_ERR_SSL_CONN_EOF:
            why = "the client went away";
            break;
        case MBEDTLS_ERR_SSL_INVALID_MAC:
            // With TLS 1.3, mbedTLS 3.6 cannot read some clients' alerts: it expects other keys at that
            // moment.
            why = "an unreadable record (often the client's alert that it does not trust our certificate)";
            break;
        case error_no_common_version:
            why = "no common TLS version: the client offers none from 1.2 on";
            break;
        case error_no_common_cipher:
            why =
                "no common cipher suite, curve or signature (ECDHE with AES-GCM, AES-CCM or ChaCha20 is "
                "needed)";
            break;
        default:
            why = text_of(error);
            break;
    }
    return "TLS handshake failed: " + why;
}

std::string session_failure(int error, const Ssl& ssl) {
    if (error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || error == MBEDTLS_ERR_SSL_CONN_EOF)
        return "closed by the peer";
    if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) return "TLS: " + alert_words(alert_of(ssl));
    if (error == MBEDTLS_ERR_SSL_INVALID_MAC) return "TLS: a record was damaged on its way (bad_record_mac)";
    return "TLS: " + text_of(error);
}

void identify_by(const mbedtls_x509_crt& certificate, PeerIdentity& identity) {
    std::string subject, rdn;
    std::size_t common_names = 0;
    // The certificate has the root first, RFC 4514 has it last.
    for (const mbedtls_x509_name* name = &certificate.subject; name != nullptr; name = name->next) {
        if (name->oid.p == nullptr) continue;
        rdn += attribute_of(*name);
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0) {
            ++common_names;
            const bool usable = is_text_tag(name->val.tag) && is_clean_text(value_of(*name));
            if (usable) identity.common_name = std::string(value_of(*name));
        }
        if (merged_with_next(*name)) {
            rdn += '+';
            continue;
        }
        subject = subject.empty() ? rdn : rdn + "," + subject;
        rdn.clear();
    }
    // Two names are none: which one would the access rules mean?
    if (common_names != 1) identity.common_name.reset();
    if (!subject.empty()) identity.subject = std::move(subject);
}

}  // namespace sluice::net::tls
