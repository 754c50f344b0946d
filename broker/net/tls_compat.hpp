#pragma once
/// The whole difference between mbedTLS 2.28 (Debian 12) and 3.6 (Debian 13). Only tls*.cpp, websocket*.cpp
/// and their tests include this; above it there is one library.
#define MBEDTLS_ALLOW_PRIVATE_ACCESS  // 3.6 hides fields that it has no accessor for
#include <mbedtls/version.h>
// The version macro must be known before the configuration header's name is.
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <mbedtls/build_info.h>
#include <psa/crypto.h>
#else
#include <mbedtls/config.h>
#endif
#include <mbedtls/base64.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha1.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <span>

#include "base/bytes.hpp"

namespace sluice::net::tls {

// The same fault under two names.
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
inline constexpr int error_no_common_version = MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION;
inline constexpr int error_no_common_cipher = MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE;
inline constexpr int error_bad_certificate = MBEDTLS_ERR_SSL_BAD_CERTIFICATE;
#else
inline constexpr int error_no_common_version = MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION;
inline constexpr int error_no_common_cipher = MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN;
inline constexpr int error_bad_certificate = MBEDTLS_ERR_SSL_BAD_HS_CERTIFICATE;
#endif

/// An mbedTLS structure with its init and free.
template <class T, void (*Init)(T*), void (*Free)(T*)>
class Owned {
  public:
    Owned() { Init(&value_); }
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() { Free(&value_); }
    T* get() { return &value_; }
    const T* get() const { return &value_; }
    T* operator->() { return &value_; }
    const T* operator->() const { return &value_; }

  private:
    T value_;
};
using Entropy = Owned<mbedtls_entropy_context, mbedtls_entropy_init, mbedtls_entropy_free>;
using Drbg = Owned<mbedtls_ctr_drbg_context, mbedtls_ctr_drbg_init, mbedtls_ctr_drbg_free>;
using Certificates = Owned<mbedtls_x509_crt, mbedtls_x509_crt_init, mbedtls_x509_crt_free>;
using Key = Owned<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;
using Config = Owned<mbedtls_ssl_config, mbedtls_ssl_config_init, mbedtls_ssl_config_free>;
using Ssl = Owned<mbedtls_ssl_context, mbedtls_ssl_init, mbedtls_ssl_free>;
using Tickets = Owned<mbedtls_ssl_ticket_context, mbedtls_ssl_ticket_init, mbedtls_ssl_ticket_free>;
using Cache = Owned<mbedtls_ssl_cache_context, mbedtls_ssl_cache_init, mbedtls_ssl_cache_free>;

/// A seeded generator; its calls take a lock of its own (Debian's builds have threading).
class Random {
  public:
    /// False when the system gives no entropy.
    bool seed() {
        return mbedtls_ctr_drbg_seed(drbg_.get(), mbedtls_entropy_func, entropy_.get(), nullptr, 0) == 0;
    }
    mbedtls_ctr_drbg_context* context() { return drbg_.get(); }

  private:
    Entropy entropy_;
    Drbg drbg_;
};

/// 3.6 computes TLS 1.3 by PSA, which wants to be started once per process.
inline bool start_library() {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    static const bool started = psa_crypto_init() == PSA_SUCCESS;
    return started;
#else
    return true;
#endif
}

inline int parse_key(Key& key, Bytes pem, Random& random) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(key.get(), pem.data(), pem.size(), nullptr, 0, mbedtls_ctr_drbg_random,
                                random.context());
#else
    (void)random;
    return mbedtls_pk_parse_key(key.get(), pem.data(), pem.size(), nullptr, 0);
#endif
}

inline bool is_pair(Certificates& certificate, Key& key, Random& random) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&certificate->pk, key.get(), mbedtls_ctr_drbg_random, random.context()) == 0;
#else
    (void)random;
    return mbedtls_pk_check_pair(&certificate->pk, key.get()) == 0;
#endif
}

/// TLS 1.2 at least; elliptic curves by preference. Left alone, both versions choose secp521r1, which costs
/// twice.
inline void set_versions_and_curves(Config& config) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    static constexpr std::uint16_t groups[] = {
        MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
        MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
    mbedtls_ssl_conf_min_tls_version(config.get(), MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_groups(config.get(), groups);
#else
    static constexpr mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519,
                                                      MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_NONE};
    mbedtls_ssl_conf_min_version(config.get(), MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(config.get(), curves);
#endif
}

/// ECDHE with an AEAD, nothing else; 3.6 keeps the suites of TLS 1.3 in the same list. Our order decides,
/// with ChaCha20 first: the library's AES needs as long per message where the processor has instructions for
/// it and several times as long where it has none (a Raspberry Pi 4), and its tables for AES-GCM keep a
/// kilobyte more per connection.
inline void set_suites(Config& config) {
    static constexpr int suites[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
        MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
        MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
        MBEDTLS_TLS1_3_AES_128_CCM_SHA256,
#endif
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
        0
    };
    mbedtls_ssl_conf_ciphersuites(config.get(), suites);
}

/// A resumed TLS 1.3 session of 3.6 has no peer certificate and yet passes as verified: where the certificate
/// is the identity, 1.3 does not resume.
inline void forbid_resumption_in_tls13(Config& config) {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000 && defined(MBEDTLS_SSL_PROTO_TLS1_3)
    mbedtls_ssl_conf_tls13_key_exchange_modes(config.get(), MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
    mbedtls_ssl_conf_new_session_tickets(config.get(), 0);
#else
    (void)config;
#endif
}

inline int state_of(const Ssl& ssl) {
    return ssl->state;
}
inline bool handshake_over(const Ssl& ssl) {
    return ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER;
}

/// The description of the alert that ended the handshake (MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE).
inline int alert_of(const Ssl& ssl) {
    return ssl->in_msg != nullptr ? ssl->in_msg[1] : -1;
}

/// Several attributes in one RDN ("CN=a+UID=b").
inline bool merged_with_next(const mbedtls_x509_name& name) {
    return name.next_merged != 0;
}

inline std::array<std::uint8_t, 20> sha1(Bytes bytes) {
    std::array<std::uint8_t, 20> digest{};
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    (void)mbedtls_sha1(bytes.data(), bytes.size(), digest.data());
#else
    (void)mbedtls_sha1_ret(bytes.data(), bytes.size(), digest.data());
#endif
    return digest;
}

}  // namespace sluice::net::tls
