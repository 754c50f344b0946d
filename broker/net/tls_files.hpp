#pragma once
/// Certificates and keys as files: read, judged, and complained about in the operator's words.
#include <string>
#include <vector>

#include "base/result.hpp"
#include "net/tls.hpp"
#include "net/tls_compat.hpp"

namespace sluice::net::tls {

/// PEM text with its closing NUL, as mbedTLS wants it; wiped when it goes, for it may be a key.
class PemText {
  public:
    PemText() = default;
    explicit PemText(std::string text) : text_(std::move(text)) {}
    PemText(PemText&&) = default;
    PemText& operator=(PemText&&) = default;
    ~PemText() { mbedtls_platform_zeroize(text_.data(), text_.size()); }

    bool empty() const { return text_.empty(); }
    const std::string& text() const { return text_; }
    Bytes with_nul() const {
        return {reinterpret_cast<const std::uint8_t*>(text_.c_str()), text_.size() + 1};
    }

  private:
    std::string text_;
};

/// What the files held: good, and fitting together.
struct Credentials {
    PemText certificate, key, client_ca;
};

/// The error names the setting, the file and the reason, e.g.
/// `tls.key = "/etc/sluice/server.key": cannot be read: Permission denied`.
Result<Credentials, std::string> load_credentials(const TlsSettings& settings);

}  // namespace sluice::net::tls
