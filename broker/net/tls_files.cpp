#include "net/tls_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/log.hpp"

namespace sluice::net::tls {
namespace {

constexpr std::size_t file_bytes_max = 1 << 20;

/// A setting and its file, for messages.
struct Source {
    std::string_view setting;
    const std::string& file;
    std::string says(std::string_view reason) const {
        return fmt::format("tls.{} = \"{}\": {}", setting, file, reason);
    }
    Err<std::string> error(std::string_view reason) const { return Err{says(reason)}; }
};

std::string text_of(int mbedtls_error) {
    std::array<char, 160> text{};
    mbedtls_strerror(mbedtls_error, text.data(), text.size());
    return text.data();
}

std::string date_of(const mbedtls_x509_time& t) {
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", t.year, t.mon, t.day, t.hour, t.min);
}

class Descriptor {
  public:
    explicit Descriptor(const std::string& file) : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }

  private:
    int fd_;
};

Result<PemText, std::string> read_file(const Source& source) {
    if (source.file.empty())
        return Err{fmt::format("tls.{} is not set: a PEM file is needed", source.setting)};
    const Descriptor fd(source.file);
    if (fd.get() < 0) {
        if (errno == ENOENT) return source.error("there is no such file");
        return source.error(fmt::format("cannot be read: {}", std::strerror(errno)));
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return source.error(std::strerror(errno));
    if (S_ISDIR(status.st_mode)) return source.error("is a folder, a PEM file is needed");
    if (status.st_size > static_cast<off_t>(file_bytes_max)) return source.error("is larger than 1 MiB");
    std::string text(file_bytes_max, '\0');
    std::size_t bytes = 0;
    for (;;) {
        const ssize_t got = ::read(fd.get(), text.data() + bytes, text.size() - bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return source.error(fmt::format("cannot be read: {}", std::strerror(errno)));
        if (got == 0) break;
        bytes += static_cast<std::size_t>(got);
    }
    PemText pem(text.substr(0, bytes));
    mbedtls_platform_zeroize(text.data(), bytes);
    if (pem.empty()) return source.error("is empty");
    return pem;
}

/// Nothing, or what is wrong.
using Complaint = std::optional<std::string>;

Complaint parse_certificates(const Source& source, const PemText& pem, Certificates& out) {
    if (pem.text().find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
        const bool key = pem.text().find("PRIVATE KEY-----") != std::string::npos;
        return source.says(key ? "holds a private key, but a certificate is needed here"
                               : "is not PEM: there is no line \"-----BEGIN CERTIFICATE-----\"");
    }
    const Bytes bytes = pem.with_nul();
    const int result = mbedtls_x509_crt_parse(out.get(), bytes.data(), bytes.size());
    if (result > 0) return source.says(fmt::format("{} of its certificates cannot be understood", result));
    if (result < 0) return source.says(fmt::format("holds a damaged certificate: {}", text_of(result)));
    return std::nullopt;
}

Complaint parse_private_key(const Source& source, const PemText& pem, Random& random, Key& out) {
    if (pem.text().find("PRIVATE KEY-----") == std::string::npos) {
        const bool certificate = pem.text().find("-----BEGIN CERTIFICATE-----") != std::string::npos;
        return source.says(certificate ? "holds a certificate, but a private key is needed here"
                                       : "is not PEM: there is no line \"-----BEGIN ... PRIVATE KEY-----\"");
    }
    const int result = parse_key(out, pem.with_nul(), random);
    if (result == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || pem.text().find("ENCRYPTED") != std::string::npos)
        return source.says(
            "is protected by a pass phrase; a service cannot type it, store the key without one");
    if (result != 0) return source.says(fmt::format("holds a damaged private key: {}", text_of(result)));
    if (mbedtls_pk_can_do(out.get(), MBEDTLS_PK_RSA) && mbedtls_pk_get_bitlen(out.get()) < 2048)
        return source.says("is too weak: RSA needs 2048 bits at least (ECDSA P-256 is better and faster)");
    return std::nullopt;
}

void warn_if_public(const Source& source) {
    struct stat status {};
    if (::stat(source.file.c_str(), &status) == 0 && (status.st_mode & 0007) != 0)
        log::warn(source.says("every user of this machine may read this private key (chmod 640)"));
}

Complaint check_dates(const Source& source, const Certificates& certificate) {
    if (mbedtls_x509_time_is_past(&certificate->valid_to))
        return source.says(fmt::format("the certificate expired on {}", date_of(certificate->valid_to)));
    // Many gateways have no clock until the network is up: not a reason to stay down.
    if (mbedtls_x509_time_is_future(&certificate->valid_from))
        log::warn(
            source.says(fmt::format("the certificate is valid only from {}; is this machine's clock right?",
                                    date_of(certificate->valid_from))));
    return std::nullopt;
}

Complaint check_combination(const TlsSettings& settings) {
    const bool asks = settings.client_certificate != ClientCertificate::none;
    if (asks && settings.client_ca.empty())
        return "tls.client_ca is not set: client_certificate needs the CA that signs the clients' "
               "certificates";
    if (!asks && !settings.client_ca.empty())
        return "tls.client_ca is set, but client_certificate = \"none\": no client would be asked for a "
               "certificate";
    if (!asks && settings.identity != TlsIdentity::none)
        return "tls.identity takes the user name from the client's certificate, but client_certificate = "
               "\"none\"";
    return std::nullopt;
}

Complaint check_client_ca(const TlsSettings& settings, const PemText& pem) {
    const Source source{"client_ca", settings.client_ca};
    Certificates authorities;
    if (auto wrong = parse_certificates(source, pem, authorities)) return wrong;
    for (const mbedtls_x509_crt* ca = authorities.get(); ca != nullptr; ca = ca->next)
        if (mbedtls_x509_time_is_past(&ca->valid_to))
            log::warn(source.says(fmt::format("a CA certificate expired on {}", date_of(ca->valid_to))));
    return std::nullopt;
}

}  // namespace

Result<Credentials, std::string> load_credentials(const TlsSettings& settings) {
    if (auto wrong = check_combination(settings)) return Err{std::move(*wrong)};
    const Source certificate_source{"certificate", settings.certificate};
    const Source key_source{"key", settings.key};
    auto certificate_pem = read_file(certificate_source);
    if (!certificate_pem) return Err{certificate_pem.error()};
    auto key_pem = read_file(key_source);
    if (!key_pem) return Err{key_pem.error()};

    Random random;
    if (!start_library() || !random.seed())
        return Err{std::string("tls: the system gives no random numbers")};
    Certificates certificate;
    Key key;
    if (auto wrong = parse_certificates(certificate_source, *certificate_pem, certificate))
        return Err{std::move(*wrong)};
    if (auto wrong = parse_private_key(key_source, *key_pem, random, key)) return Err{std::move(*wrong)};
    if (!is_pair(certificate, key, random))
        return key_source.error(fmt::format(
            "does not belong to the first certificate in tls.certificate = \"{}\"", settings.certificate));
    if (auto wrong = check_dates(certificate_source, certificate)) return Err{std::move(*wrong)};
    warn_if_public(key_source);

    Credentials out{std::move(*certificate_pem), std::move(*key_pem), {}};
    if (settings.client_certificate != ClientCertificate::none) {
        auto ca_pem = read_file({"client_ca", settings.client_ca});
        if (!ca_pem) return Err{ca_pem.error()};
        if (auto wrong = check_client_ca(settings, *ca_pem)) return Err{std::move(*wrong)};
        out.client_ca = std::move(*ca_pem);
    }
    return out;
}

}  // namespace sluice::net::tls
