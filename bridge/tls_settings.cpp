#include "bridge/tls_settings.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

namespace sluice::bridge {
namespace {

/// The system's whole bundle of CAs has about 220 kB.
constexpr std::size_t file_bytes_max = 4UL * 1024 * 1024;

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using BioPtr = std::unique_ptr<BIO, Freer<&BIO_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<&X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<&EVP_PKEY_free>>;

struct File {
    int fd;
    ~File() {
        if (fd >= 0) ::close(fd);
    }
};

/// The content, or why there is none.
Result<std::string, std::string> read_file(const std::string& path) {
    // Not blocking: a FIFO without a writer must not hang us.
    const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status {};
    if (file.fd < 0 || ::fstat(file.fd, &status) != 0) return Err{std::string(std::strerror(errno))};
    if (S_ISDIR(status.st_mode)) return Err{std::string("it is a folder")};
    if (!S_ISREG(status.st_mode)) return Err{std::string("it is not a regular file")};
    std::string content;
    char block[16384];
    for (;;) {
        const ssize_t got = ::read(file.fd, block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Err{std::string(std::strerror(errno))};
        if (got == 0) return content;
        content.append(block, static_cast<std::size_t>(got));
        if (content.size() > file_bytes_max) return Err{std::string("it is larger than 4 MiB")};
    }
}

BioPtr open_bio(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string problem(std::string_view key, const std::string& path, std::string_view what,
                    std::string_view expected) {
    return fmt::format("{}: {}: {}; expected {}", key, path, what, expected);
}

/// The first certificate of a file that has nothing but good ones.
Result<X509Ptr, std::string> load_certificates(std::string_view key, const std::string& path,
                                               std::string_view expected) {
    const auto text = read_file(path);
    if (!text) return Err{problem(key, path, text.error(), expected)};
    const BioPtr bio = open_bio(*text);
    X509Ptr first;
    for (;;) {
        X509Ptr next(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
        if (!next) break;
        if (!first) first = std::move(next);
    }
    // The end shows as an error too: "no start line".
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (!first && at_end) return Err{problem(key, path, "there is no PEM certificate in it", expected)};
    if (!at_end) return Err{problem(key, path, "a certificate in it is damaged", expected)};
    return first;
}

/// Never asks the terminal, as OpenSSL's own would. An empty pass phrase is none.
int give_password(char* buffer, int size, int /*writing*/, void* password) {
    const auto& text = *static_cast<const std::string*>(password);
    if (text.empty() || static_cast<int>(text.size()) > size) return -1;
    std::copy(text.begin(), text.end(), buffer);
    return static_cast<int>(text.size());
}

Result<KeyPtr, std::string> load_key(const std::string& path, const std::string& password) {
    constexpr std::string_view expected = "a PEM file with the private key of `certificate`";
    const auto text = read_file(path);
    if (!text) return Err{problem("key", path, text.error(), expected)};
    if (text->find("PRIVATE KEY-----") == std::string::npos)
        return Err{problem("key", path, "there is no PEM private key in it", expected)};
    const bool encrypted = text->find("ENCRYPTED") != std::string::npos;
    if (encrypted && password.empty())
        return Err{problem("key", path, "it is encrypted", "`key_password` with its pass phrase")};
    const BioPtr bio = open_bio(*text);
    KeyPtr key(
        PEM_read_bio_PrivateKey(bio.get(), nullptr, &give_password, const_cast<std::string*>(&password)));
    ERR_clear_error();
    if (key) return key;
    if (encrypted)
        return Err{problem("key_password", path, "the key does not open with it", "the key's pass phrase")};
    return Err{problem("key", path, "the private key in it is damaged", expected)};
}

Result<void, std::string> check_files(const TlsSettings& settings) {
    if (!settings.ca_file.empty()) {
        const auto ca = load_certificates("ca_file", settings.ca_file, "a PEM file with CA certificates");
        if (!ca) return Err{ca.error()};
    }
    if (settings.certificate.empty()) return {};
    const auto certificate =
        load_certificates("certificate", settings.certificate, "a PEM file with a certificate");
    if (!certificate) return Err{certificate.error()};
    const auto key = load_key(settings.key, settings.key_password);
    if (!key) return Err{key.error()};
    const bool belongs = X509_check_private_key(certificate->get(), key->get()) == 1;
    ERR_clear_error();
    if (!belongs)
        return Err{problem("key", settings.key,
                           "it is not the key of the certificate " + settings.certificate,
                           "the private key that belongs to it")};
    return {};
}

}  // namespace

Result<void, std::string> check_tls(const TlsSettings& settings) {
    if (settings.tls == false && settings.any_key_set()) {
        const std::string_view key = !settings.ca_file.empty()       ? "ca_file"
                                     : !settings.certificate.empty() ? "certificate"
                                     : !settings.key.empty()         ? "key"
                                     : settings.server_name_check    ? "key_password"
                                                                     : "server_name_check";
        return Err{fmt::format(
            "{}: has no meaning with tls = false; expected it to be left out, or tls = true", key)};
    }
    if (!settings.certificate.empty() && settings.key.empty())
        return Err{std::string("certificate: there is no `key`; expected both or neither")};
    if (settings.certificate.empty() && !settings.key.empty())
        return Err{std::string("key: there is no `certificate`; expected both or neither")};
    if (settings.key.empty() && !settings.key_password.empty())
        return Err{std::string("key_password: there is no `key`; expected it beside one that is encrypted")};
    return check_files(settings);
}

}  // namespace sluice::bridge
