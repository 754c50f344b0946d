#pragma once
/// Tls: OpenSSL between two buffers, so that the socket, its waits and its deadlines stay ours.
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "bridge/tls_settings.hpp"

namespace sluice::bridge::amqp1 {

/// The client's side of one connection. Bytes from the wire go in by put_encrypted(), those for the wire are
/// in encrypted(). One thread.
class Tls {
  public:
    enum class Step : std::uint8_t { done, wants_input, closed, failed };

    /// Reads the files. TLS 1.2 or newer; the certificate must name `host` unless the settings say otherwise.
    static Result<std::unique_ptr<Tls>, std::string> make(const TlsSettings& settings,
                                                          const std::string& host);

    Step handshake();
    void put_encrypted(std::string_view bytes);
    /// Decrypts; sets `got` when done.
    Step read(char* to, std::size_t size, std::size_t& got);
    /// Encrypts; sets `taken` when done.
    Step write(std::string_view bytes, std::size_t& taken);
    /// What is to be sent; the caller removes from its front what was.
    std::string& encrypted();
    /// Why a step has failed, as one line.
    const std::string& why() const { return why_; }

  private:
    struct ContextDeleter {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    };
    struct SslDeleter {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };

    Tls() = default;
    Result<void, std::string> load(const TlsSettings& settings);
    Result<void, std::string> expect_host(const std::string& host);
    Step judge(int result);

    std::unique_ptr<SSL_CTX, ContextDeleter> context_;
    std::unique_ptr<SSL, SslDeleter> ssl_;  ///< owns the two BIOs
    BIO* from_wire_ = nullptr;
    BIO* to_wire_ = nullptr;
    std::string host_, encrypted_, why_;
};

}  // namespace sluice::bridge::amqp1
