#include "net/tls_engine.hpp"

namespace sluice::net::tls {

bool Resumption::set_up(std::chrono::milliseconds lifetime) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
    if (!random_.seed()) return false;
    mbedtls_ssl_cache_set_max_entries(cache_.get(), cache_entries_max);
    mbedtls_ssl_cache_set_timeout(cache_.get(), static_cast<int>(seconds));
    return mbedtls_ssl_ticket_setup(tickets_.get(), mbedtls_ctr_drbg_random, random_.context(),
                                    MBEDTLS_CIPHER_AES_256_GCM, static_cast<std::uint32_t>(seconds)) == 0;
}

void Resumption::attach(Config& config) {
    mbedtls_ssl_conf_session_tickets_cb(config.get(), mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        tickets_.get());
    mbedtls_ssl_conf_session_cache(config.get(), cache_.get(), mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
}

std::shared_ptr<Engine> Engine::make(const Credentials& credentials, const TlsSettings& settings,
                                     std::shared_ptr<Resumption> resumption) {
    auto engine = std::make_shared<Engine>();
    engine->resumption_ = std::move(resumption);
    if (!engine->set_up(credentials, settings)) return nullptr;
    return engine;
}

bool Engine::set_up(const Credentials& credentials, const TlsSettings& settings) {
    const Bytes certificate = credentials.certificate.with_nul();
    if (!start_library() || !random_.seed()) return false;
    if (mbedtls_x509_crt_parse(certificate_.get(), certificate.data(), certificate.size()) != 0) return false;
    if (parse_key(key_, credentials.key.with_nul(), random_) != 0) return false;
    if (mbedtls_ssl_config_defaults(config_.get(), MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return false;
    mbedtls_ssl_conf_rng(config_.get(), mbedtls_ctr_drbg_random, random_.context());
    set_versions_and_curves(config_);
    set_suites(config_);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config_.get(), MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    if (mbedtls_ssl_conf_own_cert(config_.get(), certificate_.get(), key_.get()) != 0) return false;
    if (resumption_) resumption_->attach(config_);

    client_certificate_ = settings.client_certificate;
    if (client_certificate_ == ClientCertificate::none) {
        mbedtls_ssl_conf_authmode(config_.get(), MBEDTLS_SSL_VERIFY_NONE);
        return true;
    }
    const Bytes ca = credentials.client_ca.with_nul();
    if (mbedtls_x509_crt_parse(client_ca_.get(), ca.data(), ca.size()) != 0) return false;
    mbedtls_ssl_conf_ca_chain(config_.get(), client_ca_.get(), nullptr);
    mbedtls_ssl_conf_authmode(config_.get(), client_certificate_ == ClientCertificate::required
                                                 ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                 : MBEDTLS_SSL_VERIFY_OPTIONAL);
    forbid_resumption_in_tls13(config_);
    return true;
}

}  // namespace sluice::net::tls
