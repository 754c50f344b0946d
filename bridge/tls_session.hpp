#pragma once
/// TlsSession: the client's end of TLS over a socket that never blocks. By OpenSSL, which client libraries of
/// other connectors bring anyway: modules link it, the broker does not.
#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "bridge/tls_settings.hpp"

namespace sluice::bridge {

class TlsSession {
  public:
    enum class Step : std::uint8_t { done, wants_read, wants_write, closed, failed };

    /// Reads the files anew. `host`: the name or address that the certificate must be for. The error is one
    /// line for the operator.
    static Result<std::unique_ptr<TlsSession>, std::string> make(const TlsSettings& settings,
                                                                 const std::string& host, int fd);

    Step handshake();
    Step read(MutableBytes into, std::size_t& got);
    Step write(Bytes from, std::size_t& put);
    /// Bytes that poll() does not know of.
    bool has_buffered() const { return SSL_pending(ssl_.get()) > 0; }
    /// After `failed`: why, as one line.
    const std::string& problem() const { return problem_; }

  private:
    struct Freer {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    using Context = std::unique_ptr<SSL_CTX, Freer>;

    TlsSession(std::string host, std::string ca_text)
        : host_(std::move(host)), ca_text_(std::move(ca_text)) {}
    std::string load(SSL_CTX* context, const TlsSettings& settings);
    std::string attach(SSL_CTX* context, bool name_check, int fd);
    Step judge(int result);
    std::string complaint(unsigned long error) const;

    std::string host_, ca_text_, problem_;
    std::unique_ptr<SSL, Freer> ssl_;
};

}  // namespace sluice::bridge
