#include "auth/crypto.hpp"

#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>

namespace sluice::auth {
namespace {

/// A digest in progress, or a keyed one.
class Digest {
  public:
    Digest() { mbedtls_md_init(&context_); }
    ~Digest() { mbedtls_md_free(&context_); }
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;

    bool setup(bool keyed) {
        return mbedtls_md_setup(&context_, mbedtls_md_info_from_type(MBEDTLS_MD_SHA512), keyed ? 1 : 0) == 0;
    }
    mbedtls_md_context_t* get() { return &context_; }

  private:
    mbedtls_md_context_t context_;
};

}  // namespace

std::optional<Sha512> sha512(Bytes first, Bytes second) {
    Digest digest;
    Sha512 out{};
    const bool done = digest.setup(false) && mbedtls_md_starts(digest.get()) == 0 &&
                      mbedtls_md_update(digest.get(), first.data(), first.size()) == 0 &&
                      mbedtls_md_update(digest.get(), second.data(), second.size()) == 0 &&
                      mbedtls_md_finish(digest.get(), out.data()) == 0;
    if (!done) return std::nullopt;
    return out;
}

std::optional<Sha512> pbkdf2_sha512(Bytes password, Bytes salt, std::uint32_t iterations) {
    Sha512 out{};
#if MBEDTLS_VERSION_NUMBER >= 0x03030000
    const int error = mbedtls_pkcs5_pbkdf2_hmac_ext(MBEDTLS_MD_SHA512, password.data(), password.size(),
                                                    salt.data(), salt.size(), iterations,
                                                    static_cast<std::uint32_t>(out.size()), out.data());
#else
    Digest digest;
    if (!digest.setup(true)) return std::nullopt;
    const int error =
        mbedtls_pkcs5_pbkdf2_hmac(digest.get(), password.data(), password.size(), salt.data(), salt.size(),
                                  iterations, static_cast<std::uint32_t>(out.size()), out.data());
#endif
    if (error != 0) return std::nullopt;
    return out;
}

bool equal_in_constant_time(const Sha512& a, const Sha512& b) {
    volatile std::uint8_t difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference = difference | (a[i] ^ b[i]);
    return difference == 0;
}

void wipe(std::string& secret) {
    mbedtls_platform_zeroize(secret.data(), secret.size());
    secret.clear();
}

std::optional<ByteBuffer> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;  // mbedTLS 2.28 takes an unfinished last group
    ByteBuffer out(text.size() / 4 * 3 + 3);
    std::size_t bytes = 0;
    const Bytes in = as_bytes(text);
    if (mbedtls_base64_decode(out.data(), out.size(), &bytes, in.data(), in.size()) != 0) return std::nullopt;
    out.resize(bytes);
    return out;
}

}  // namespace sluice::auth
