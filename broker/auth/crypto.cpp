#include "auth/crypto.hpp"

#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/version.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.hpp"

namespace sluice::auth {
namespace {

/// A digest in progress, or a keyed one.
class Digest {
  public:
    Digest() { mbedtls_md_init(&context_); }
    ~Digest() { mbedtls_md_free(&context_); }
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;

    bool setup(mbedtls_md_type_t type, bool keyed) {
        return mbedtls_md_setup(&context_, mbedtls_md_info_from_type(type), keyed ? 1 : 0) == 0;
    }
    mbedtls_md_context_t* get() { return &context_; }

  private:
    mbedtls_md_context_t context_;
};

template <class Hash>
std::optional<Hash> hash(mbedtls_md_type_t type, Bytes first, Bytes second) {
    Digest digest;
    Hash out{};
    const bool done = digest.setup(type, false) && mbedtls_md_starts(digest.get()) == 0 &&
                      mbedtls_md_update(digest.get(), first.data(), first.size()) == 0 &&
                      mbedtls_md_update(digest.get(), second.data(), second.size()) == 0 &&
                      mbedtls_md_finish(digest.get(), out.data()) == 0;
    if (!done) return std::nullopt;
    return out;
}

template <class Hash>
std::optional<Hash> pbkdf2(mbedtls_md_type_t type, Bytes password, Bytes salt, std::uint32_t iterations) {
    Hash out{};
    const auto bytes = static_cast<std::uint32_t>(out.size());
#if MBEDTLS_VERSION_NUMBER >= 0x03030000
    const int error = mbedtls_pkcs5_pbkdf2_hmac_ext(type, password.data(), password.size(), salt.data(),
                                                    salt.size(), iterations, bytes, out.data());
#else
    Digest digest;
    if (!digest.setup(type, true)) return std::nullopt;
    const int error = mbedtls_pkcs5_pbkdf2_hmac(digest.get(), password.data(), password.size(), salt.data(),
                                                salt.size(), iterations, bytes, out.data());
#endif
    if (error != 0) return std::nullopt;
    return out;
}

}  // namespace

std::optional<Sha512> sha512(Bytes first, Bytes second) {
    return hash<Sha512>(MBEDTLS_MD_SHA512, first, second);
}

std::optional<Sha512> pbkdf2_sha512(Bytes password, Bytes salt, std::uint32_t iterations) {
    return pbkdf2<Sha512>(MBEDTLS_MD_SHA512, password, salt, iterations);
}

std::optional<Sha256> sha256(Bytes data) {
    return hash<Sha256>(MBEDTLS_MD_SHA256, data, {});
}

std::optional<Sha256> hmac_sha256(Bytes key, Bytes first, Bytes second) {
    Digest digest;
    Sha256 out{};
    const bool done = digest.setup(MBEDTLS_MD_SHA256, true) &&
                      mbedtls_md_hmac_starts(digest.get(), key.data(), key.size()) == 0 &&
                      mbedtls_md_hmac_update(digest.get(), first.data(), first.size()) == 0 &&
                      mbedtls_md_hmac_update(digest.get(), second.data(), second.size()) == 0 &&
                      mbedtls_md_hmac_finish(digest.get(), out.data()) == 0;
    if (!done) return std::nullopt;
    return out;
}

std::optional<Sha256> pbkdf2_sha256(Bytes password, Bytes salt, std::uint32_t iterations) {
    return pbkdf2<Sha256>(MBEDTLS_MD_SHA256, password, salt, iterations);
}

bool equal_in_constant_time(Bytes a, Bytes b) {
    if (a.size() != b.size()) return false;
    volatile std::uint8_t difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) difference = difference | (a[i] ^ b[i]);
    return difference == 0;
}

void fill_random(MutableBytes out) {
    constexpr std::size_t at_once = 256;  // what getentropy() gives in one call
    while (!out.empty()) {
        const MutableBytes piece = out.first(std::min(out.size(), at_once));
        CHECK(::getentropy(piece.data(), piece.size()) == 0);  // a kernel without it is not one we run on
        out = out.subspan(piece.size());
    }
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

std::string encode_base64(Bytes bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // mbedTLS ends it with a zero byte
    std::size_t written = 0;
    auto* const text = reinterpret_cast<unsigned char*>(out.data());
    CHECK(mbedtls_base64_encode(text, out.size(), &written, bytes.data(), bytes.size()) == 0);
    out.resize(written);
    return out;
}

}  // namespace sluice::auth
