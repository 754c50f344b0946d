#include "auth/crypto.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sluice::auth {
namespace {

std::string hex(Bytes bytes) {
    std::string text;
    for (const auto byte : bytes) text += fmt::format("{:02x}", byte);
    return text;
}

// FIPS 180-4's example "abc", cut in two.
TEST(Crypto, Sha512OfTwoParts) {
    const auto digest = sha512(as_bytes("a"), as_bytes("bc"));
    ASSERT_TRUE(digest);
    EXPECT_EQ(hex(*digest),
              "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    EXPECT_TRUE(sha512({}, {}));
}

// Python: hashlib.pbkdf2_hmac("sha512", b"password", b"salt", N).hex()
TEST(Crypto, Pbkdf2) {
    const auto once = pbkdf2_sha512(as_bytes("password"), as_bytes("salt"), 1);
    const auto many = pbkdf2_sha512(as_bytes("password"), as_bytes("salt"), 4096);
    ASSERT_TRUE(once && many);
    EXPECT_EQ(hex(*once),
              "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252"
              "c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce");
    EXPECT_EQ(hex(*many),
              "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5"
              "143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5");
    EXPECT_TRUE(pbkdf2_sha512({}, as_bytes("salt"), 1));
}

TEST(Crypto, EqualOnlyWhenAllBytesAre) {
    Sha512 a{}, b{};
    EXPECT_TRUE(equal_in_constant_time(a, b));
    for (std::size_t at : {0U, 31U, 63U}) {
        b = a;
        b[at] = 1;
        EXPECT_FALSE(equal_in_constant_time(a, b)) << at;
    }
    EXPECT_FALSE(equal_in_constant_time(a, Bytes(a).first(63)));
}

// RFC 4231 4.3 (test case 2), and RFC 7914 11 for PBKDF2.
TEST(Crypto, HmacSha256) {
    const auto mac = hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya "), as_bytes("want for nothing?"));
    ASSERT_TRUE(mac);
    EXPECT_EQ(hex(*mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    const auto derived = pbkdf2_sha256(as_bytes("passwd"), as_bytes("salt"), 1);
    ASSERT_TRUE(derived);
    EXPECT_EQ(hex(*derived), "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    EXPECT_EQ(hex(*sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crypto, RandomBytesAreAllFilled) {
    ByteBuffer first(1000), second(1000);
    fill_random(first);
    fill_random(second);
    EXPECT_NE(first, second);
    for (std::size_t at = 0; at < first.size(); at += 50)  // 50 zeros in a row: never
        EXPECT_NE(ByteBuffer(first.begin() + at, first.begin() + at + 50), ByteBuffer(50));
}

TEST(Crypto, Base64BothWays) {
    EXPECT_EQ(encode_base64({}), "");
    for (std::size_t size = 0; size < 100; ++size) {
        ByteBuffer bytes(size);
        fill_random(bytes);
        EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes);
    }
    EXPECT_EQ(encode_base64(as_bytes("salt")), "c2FsdA==");
}

TEST(Crypto, Base64) {
    EXPECT_EQ(decode_base64("c2FsdA=="), (ByteBuffer{'s', 'a', 'l', 't'}));
    EXPECT_EQ(decode_base64(""), ByteBuffer{});
    EXPECT_FALSE(decode_base64("c2Fsd"));
    EXPECT_FALSE(decode_base64("c2F$dA=="));
}

TEST(Crypto, WipeEmptiesTheText) {
    std::string secret = "a secret that is long enough to stand on the heap";
    wipe(secret);
    EXPECT_TRUE(secret.empty());
}

}  // namespace
}  // namespace sluice::auth
