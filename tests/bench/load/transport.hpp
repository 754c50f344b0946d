#pragma once
/// One non-blocking connection to a broker on loopback, plain or TLS.
#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <span>

namespace bench {

struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeSsl>;
using TlsSession = std::unique_ptr<SSL_SESSION, FreeSsl>;

/// Of TLS 1.2, so that both brokers do the same work. The server is not verified: it is ours, on loopback,
/// and the check would be the generator's cost alone.
TlsContext make_tls_context();

class Transport {
  public:
    /// Connects; TLS (which shakes hands by and by, as bytes are read and written) when `context` is not
    /// null; resumes `session` if one is given. Throws std::system_error.
    Transport(std::uint16_t port, SSL_CTX* context, SSL_SESSION* session = nullptr);
    Transport(Transport&&) noexcept;
    Transport& operator=(Transport&&) = delete;
    ~Transport();

    int descriptor() const { return descriptor_; }

    enum class Outcome : std::uint8_t { done, would_block, closed };
    struct Moved {
        Outcome outcome;
        std::size_t bytes;
    };
    Moved read(std::span<char> into);
    Moved write(std::span<const char> bytes);
    /// The handshake must be driven to its end before data is counted; false: not yet.
    bool finish_handshake();
    bool encrypted() const { return ssl_ != nullptr; }
    bool resumed() const { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }
    TlsSession session() const { return TlsSession(SSL_get1_session(ssl_.get())); }

  private:
    Moved judge(int result) const;

    int descriptor_;
    std::unique_ptr<SSL, FreeSsl> ssl_;
};

}  // namespace bench
