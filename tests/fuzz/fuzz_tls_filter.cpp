// The TLS filter before any certificate or key is proved: whatever comes, it is refused and nothing passes.
// The server's certificate is made by certs/make-dev-certs into $SLUICE_CERTS (default: build/certs).
#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/check.hpp"
#include "net/tls.hpp"

namespace {

sluice::net::TlsContext& context() {
    static const auto loaded = [] {
        const char* folder = std::getenv("SLUICE_CERTS");
        const std::string certs = folder != nullptr ? folder : "build/certs";
        sluice::net::TlsSettings settings;
        settings.certificate = certs + "/server.crt";
        settings.key = certs + "/server.key";
        settings.client_ca = certs + "/ca.crt";
        settings.client_certificate = sluice::net::ClientCertificate::required;
        auto result = sluice::net::TlsContext::load(settings);
        if (!result) std::fprintf(stderr, "%s\n", result.error().c_str());
        return *result;
    }();
    return *loaded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t chunk = std::size_t{data[0]} + 1;
    sluice::Bytes wire(data + 1, size - 1);
    const auto filter = context().accept();
    sluice::ByteBuffer plain, reply;
    while (!wire.empty()) {
        const auto part = wire.first(std::min(chunk, wire.size()));
        if (!filter->receive(part, plain, reply)) break;
        wire = wire.subspan(part.size());
    }
    CHECK(!filter->ready() && plain.empty());
    filter->close(reply);
    return 0;
}
