#pragma once
/// What a thread needs to serve TLS: its own configuration, certificates, key and generator. mbedTLS caches
/// precomputed points inside keys and CA certificates while it signs and verifies, so these are never shared
/// between threads; the only things that are, behind locks of their own, are the tickets and the session
/// cache.
#include <memory>

#include "base/result.hpp"
#include "net/tls_compat.hpp"
#include "net/tls_files.hpp"

namespace sluice::net::tls {

/// Resumption, shared by all threads of one listener: a device may reconnect through another thread.
class Resumption {
  public:
    static constexpr int cache_entries_max =
        256;  ///< sessions of clients that know no tickets, about 1 KB each

    /// False when the library cannot set it up.
    bool set_up(std::chrono::milliseconds lifetime);
    void attach(Config& config);

  private:
    Random random_;
    Tickets tickets_;
    Cache cache_;
};

class Engine {
  public:
    /// `resumption` may be null. Null when the library cannot set it up.
    static std::shared_ptr<Engine> make(const Credentials& credentials, const TlsSettings& settings,
                                        std::shared_ptr<Resumption> resumption);

    const mbedtls_ssl_config* config() const { return config_.get(); }
    ClientCertificate client_certificate() const { return client_certificate_; }

  private:
    bool set_up(const Credentials& credentials, const TlsSettings& settings);

    std::shared_ptr<Resumption> resumption_;  // outlives config_, which points into it
    Random random_;
    Certificates certificate_, client_ca_;
    Key key_;
    Config config_;
    ClientCertificate client_certificate_ = ClientCertificate::none;
};

/// One connection's filter. The engine stays alive as long as any of its filters; after the handshake a
/// filter may move to another thread, since then the engine is only read.
std::unique_ptr<TlsFilter> make_filter(std::shared_ptr<const Engine> engine);

}  // namespace sluice::net::tls
