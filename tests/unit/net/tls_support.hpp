#pragma once
/// A TLS client in memory, and certificates for it.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/tls.hpp"
#include "net/tls_compat.hpp"

namespace sluice::net::test {

/// Path of a file that certs/make-dev-certs made; runs it when they are missing or from another day.
std::string cert(const std::string& file);
std::string read_text(const std::string& file);
/// A file in a folder of this process, removed at its end.
std::string temporary_file(const std::string& name, const std::string& text);

/// The usual server: its certificate, no client certificates.
TlsSettings server_settings(ClientCertificate client_certificate = ClientCertificate::none);
std::shared_ptr<TlsContext> server(const TlsSettings& settings);

/// A signed certificate made on the spot; fields as mbedTLS writes them ("CN=x,O=y", "20260131235959").
struct Made {
    std::string certificate, key;  ///< PEM files
};
Made make_certificate(const std::string& subject, const std::string& not_after);
/// `seconds` from now, in the form that make_certificate() takes.
std::string certificate_time(long seconds_from_now);

struct ClientOptions {
    std::string ca;           ///< PEM file; empty: trusts everybody
    std::string certificate;  ///< PEM file; empty: has none
    std::string key;
    bool tickets = true;
    std::vector<int> suites;  ///< empty: all
    bool tls11 = false;       ///< offers nothing newer (2.28 only)
};

class TlsClient {
  public:
    explicit TlsClient(const ClientOptions& options = {});

    /// Continues the handshake with what is in `in`; true when it is over.
    bool shake();
    int error() const { return error_; }
    void write(std::string_view text);
    /// Decrypts what is in `in`.
    std::string read();
    void close();
    /// To be given to another client's resume().
    struct Session {
        mbedtls_ssl_session value;
        Session() { mbedtls_ssl_session_init(&value); }
        Session(const Session&) = delete;
        Session& operator=(const Session&) = delete;
        ~Session() { mbedtls_ssl_session_free(&value); }
    };
    std::unique_ptr<Session> session();
    void resume(const Session& session);

    ByteBuffer in, out;  ///< from and to the wire
    bool closed_by_server = false;

  private:
    static int give(void* self, const unsigned char* from, std::size_t bytes);
    static int take(void* self, unsigned char* into, std::size_t bytes);

    tls::Random random_;
    tls::Certificates ca_, certificate_;
    tls::Key key_;
    tls::Config config_;
    std::vector<int> suites_;
    tls::Ssl ssl_;
    std::size_t taken_ = 0;
    int error_ = 0;
};

/// Feeds `wire` to the filter in pieces of `chunk` bytes; the first error ends it.
std::optional<std::string> feed(Filter& filter, Bytes wire, ByteBuffer& plain, ByteBuffer& reply,
                                std::size_t chunk = SIZE_MAX);
/// The whole handshake; the filter's error, or nothing.
std::optional<std::string> handshake(TlsClient& client, TlsFilter& filter, std::size_t chunk = SIZE_MAX);

}  // namespace sluice::net::test
