#pragma once
/// TLS by mbedTLS, server side. The only place that knows the library is tls*.cpp.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "net/filter.hpp"

namespace sluice::net {

enum class ClientCertificate : std::uint8_t { none, optional, required };
enum class TlsIdentity : std::uint8_t { none, common_name, subject };

/// `[listener.tls]`
struct TlsSettings {
    std::string certificate;  ///< PEM file with the chain
    std::string key;          ///< PEM file
    std::string client_ca;    ///< PEM file; needed when client certificates are asked for
    ClientCertificate client_certificate = ClientCertificate::none;
    TlsIdentity identity = TlsIdentity::none;  ///< the MQTT user name is taken from the certificate
    bool session_tickets = true;  ///< false: every handshake is a full one (no session ids either)
    std::chrono::milliseconds session_lifetime{24 * 3600 * 1000};
    bool operator==(const TlsSettings&) const = default;
};
std::span<const SettingRow> tls_setting_rows();

/// Certificates, keys and session tickets of one listener; immutable once loaded, shared by its connections
/// (also across threads).
class TlsContext {
  public:
    /// Reads and checks the files: missing, unreadable, not PEM, key does not belong to the certificate,
    /// expired. The error names the key of the setting, the file and the reason.
    static Result<std::shared_ptr<TlsContext>, std::string> load(const TlsSettings& settings);
    virtual ~TlsContext() = default;

    /// A filter for one new connection. The handshake runs on the thread that called; afterwards the filter
    /// may move (its connection's detach()).
    virtual std::unique_ptr<class TlsFilter> accept() = 0;
};

class TlsFilter : public Filter {
  public:
    /// The session was resumed (ticket or session id): no certificates were exchanged this time.
    virtual bool resumed() const = 0;
    /// The session is idle and has lent its record buffers, some 35 KB, to others.
    virtual bool parked() const = 0;
};

}  // namespace sluice::net
