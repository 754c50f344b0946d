#pragma once
/// What went wrong in a handshake, in one line for the operator; and who the client's certificate says it is.
#include <string>

#include "net/filter.hpp"
#include "net/tls_compat.hpp"

namespace sluice::net::tls {

/// `error`: what mbedTLS returned. Reads the alert and the verification result from `ssl`.
std::string handshake_failure(int error, const Ssl& ssl);
/// Flags of MBEDTLS_X509_BADCERT_*; the most useful one wins.
std::string certificate_complaint(std::uint32_t flags);
/// A fault after the handshake.
std::string session_failure(int error, const Ssl& ssl);

/// Common name (only when there is exactly one, and it is text) and subject of a verified certificate.
void identify_by(const mbedtls_x509_crt& certificate, PeerIdentity& identity);

}  // namespace sluice::net::tls
