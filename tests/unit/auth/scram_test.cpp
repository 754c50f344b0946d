#include "auth/scram.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::auth {
namespace {

using testing::StartsWith;

// RFC 7677 3.
constexpr std::string_view client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const std::string nonce = std::string(client_nonce) + std::string(server_nonce);
const std::string client_first = "n,,n=user,r=" + std::string(client_nonce);
const std::string server_first = "r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const std::string client_final = "c=biws,r=" + nonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const std::string server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

ScramKeys keys_of(std::string_view password) {
    return make_scram_keys(password, *decode_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096).value();
}

ScramServer make_server(bool known = true, std::string_view password = "pencil") {
    return ScramServer(std::string(server_nonce), [=](std::string_view) {
        return ScramCredential{keys_of(password), known};
    });
}

/// What a client that knows the password sends at the end, with any message and any GS2 header.
std::string final_for(std::string_view bare, std::string_view reply, std::string_view without_proof,
                      std::string_view password = "pencil") {
    const ScramKeys keys = keys_of(password);
    const auto salted = pbkdf2_sha256(as_bytes(password), keys.salt, keys.iterations).value();
    const auto client_key = hmac_sha256(salted, as_bytes("Client Key")).value();
    const std::string message = fmt::format("{},{},{}", bare, reply, without_proof);
    const auto signature = hmac_sha256(keys.stored_key, as_bytes(message)).value();
    Sha256 proof{};
    for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = client_key[i] ^ signature[i];
    return fmt::format("{},p={}", without_proof, encode_base64(proof));
}

/// The refusal's word for the client, or "accepted".
std::string outcome(ScramServer& server, const std::string& message) {
    const auto reply = server.answer(message);
    return reply.ok() ? "accepted" : reply.error().error;
}
std::string first_outcome(const std::string& message) {
    auto server = make_server();
    return outcome(server, message);
}
std::string final_outcome(const std::string& message, bool known = true) {
    auto server = make_server(known);
    EXPECT_EQ(outcome(server, client_first), "accepted");
    const std::string result = outcome(server, message);
    EXPECT_EQ(server.done(), result == "accepted");
    return result;
}

TEST(Scram, TheExampleOfRfc7677) {
    auto server = make_server();
    EXPECT_EQ(server.answer(client_first).value(), server_first);
    EXPECT_FALSE(server.done());
    EXPECT_EQ(server.answer(client_final).value(), server_final);
    EXPECT_TRUE(server.done());
    EXPECT_EQ(server.user_name(), "user");
}

TEST(Scram, NothingComesBehindTheEnd) {
    auto server = make_server();
    ASSERT_EQ(outcome(server, client_first), "accepted");
    ASSERT_EQ(outcome(server, client_final), "accepted");
    EXPECT_EQ(outcome(server, client_final), "other-error");
    EXPECT_FALSE(server.done());
}

TEST(Scram, ARefusalIsForGood) {
    auto server = make_server();
    ASSERT_EQ(outcome(server, "nonsense"), "invalid-encoding");
    EXPECT_EQ(outcome(server, client_first), "other-error");
    auto second = make_server();
    ASSERT_EQ(outcome(second, client_first), "accepted");
    ASSERT_EQ(outcome(second, "c=biws,r=" + nonce + ",p=AAAA"), "invalid-encoding");
    EXPECT_EQ(outcome(second, client_final), "other-error");
}

TEST(Scram, AWrongPasswordAndAnUnknownUserLookAlike) {
    auto wrong = make_server(true, "pen");
    auto unknown = make_server(false);
    EXPECT_EQ(wrong.answer(client_first).value(), unknown.answer(client_first).value());
    const auto first = wrong.answer(client_final), second = unknown.answer(client_final);
    ASSERT_FALSE(first.ok() || second.ok());
    EXPECT_STREQ(first.error().error, "invalid-proof");
    EXPECT_STREQ(second.error().error, "invalid-proof");
    EXPECT_STREQ(first.error().why, "wrong password");
    EXPECT_THAT(second.error().why, StartsWith("unknown user"));
}

// RFC 5802 6: 'y' is a client that would have liked channel binding from a server that has it; we have not.
TEST(Scram, ClientsThatKnowChannelBindingAreServedWithout) {
    auto server = make_server();
    const std::string bare = "n=user,r=" + std::string(client_nonce);
    const auto reply = server.answer("y,," + bare);
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(outcome(server, final_for(bare, *reply, "c=eSws,r=" + nonce)), "accepted");
    auto downgraded = make_server();
    ASSERT_EQ(outcome(downgraded, "y,," + bare), "accepted");
    EXPECT_EQ(outcome(downgraded, final_for(bare, *reply, "c=biws,r=" + nonce)),
              "channel-bindings-dont-match");
}

TEST(Scram, ChannelBindingIsRefusedByItsName) {
    EXPECT_EQ(first_outcome("p=tls-exporter,,n=user,r=abc"), "channel-binding-not-supported");
    EXPECT_EQ(first_outcome("p=tls-unique,a=user,n=user,r=abc"), "channel-binding-not-supported");
    EXPECT_EQ(first_outcome("p,,n=user,r=abc"), "invalid-encoding");
}

TEST(Scram, OnlyOnesOwnAuthorizationName) {
    auto server = make_server();
    const std::string bare = "n=user,r=" + std::string(client_nonce);
    const auto reply = server.answer("n,a=user," + bare);
    ASSERT_TRUE(reply.ok());
    const std::string header = encode_base64(as_bytes("n,a=user,"));
    EXPECT_EQ(outcome(server, final_for(bare, *reply, "c=" + header + ",r=" + nonce)), "accepted");
    EXPECT_EQ(first_outcome("n,a=admin,n=user,r=abc"), "other-error");
    EXPECT_EQ(first_outcome("n,a=us=2Cer,n=user,r=abc"), "other-error");
    EXPECT_EQ(first_outcome("n,a=,n=user,r=abc"), "invalid-encoding");
    EXPECT_EQ(first_outcome("n,user,n=user,r=abc"), "invalid-encoding");
}

TEST(Scram, UserNamesAreDecodedAndPrepared) {
    const auto name_of = [](const std::string& encoded) {
        std::string asked;
        ScramServer server("s", [&](std::string_view name) {
            asked = name;
            return ScramCredential{keys_of("x"), false};
        });
        const auto reply = server.answer("n,,n=" + encoded + ",r=c");
        EXPECT_EQ(server.user_name(), asked);
        return reply.ok() ? asked : std::string(reply.error().error);
    };
    EXPECT_EQ(name_of("a=2Cb=3Dc"), "a,b=c");
    EXPECT_EQ(name_of("a\xc2\xa0z\xc2\xad"), "a z");
    EXPECT_EQ(name_of("\xc3\xa4/+#"), "\xc3\xa4/+#");
    for (const char* bad : {"a=", "a=2", "a=2c", "a=20", "=", "a=3D=", "a\x01", "\xe2\x80\x8e", "\xc2\xad"})
        EXPECT_EQ(name_of(bad), "invalid-username-encoding") << bad;
}

TEST(Scram, FirstMessagesThatAreNone) {
    for (const std::string bad : {"",
                                  ",",
                                  "n",
                                  "n,",
                                  "n,,",
                                  "n,,,",
                                  "x,,n=user,r=abc",
                                  "N,,n=user,r=abc",
                                  "n,n=user,r=abc",
                                  "n,,n=user",
                                  "n,,r=abc,n=user",
                                  "n,,n=,r=abc",
                                  "n,,n=user,r=",
                                  "n,,n=user,r=a b",
                                  "n,,n=user,r=\xc3\xa4",
                                  "n,,user,abc",
                                  "n,,n=user,x=1,r=abc",
                                  "n,,n=user,r=abc,",
                                  "n,,n=user,r=abc,x",
                                  "n,,n=user,r=abc,1=x",
                                  "n,,n=user,r=abc,x=",
                                  "n,,n=user,r=abc,,x=1"})
        EXPECT_EQ(first_outcome(bad), "invalid-encoding") << bad;
    EXPECT_EQ(first_outcome(std::string("n,,n=us\0r,r=abc", 15)), "invalid-encoding");
    EXPECT_EQ(first_outcome("n,,n=us\xff,r=abc"), "invalid-encoding");
    EXPECT_EQ(first_outcome("n,,n=" + std::string(5000, 'u') + ",r=abc"), "invalid-encoding");
    EXPECT_EQ(first_outcome("n,,m=x,n=user,r=abc"), "extensions-not-supported");
    EXPECT_EQ(first_outcome("n,,n=user,r=abc,x=1,y=a=b"), "accepted");
}

TEST(Scram, FinalMessagesThatAreNone) {
    const std::string good = "c=biws,r=" + nonce;
    const std::string proof = client_final.substr(client_final.rfind(",p="));
    for (const std::string& bad : {std::string(),
                                   std::string("c=biws"),
                                   good,
                                   good + ",",
                                   good + ",p=",
                                   good + ",p",
                                   good + ",p=****",
                                   good + ",p=AAAA",
                                   good + "," + proof,
                                   good + ",x" + proof,
                                   good + ",1=x" + proof,
                                   good + ",x=" + proof,
                                   good + proof + ",x=1",
                                   "r=" + nonce + ",c=biws" + proof,
                                   "c=biws" + proof,
                                   "c=,r=" + nonce + proof,
                                   "c=biws,r=" + proof,
                                   proof.substr(1),
                                   good + proof + "=",
                                   good + proof.substr(0, proof.size() - 1)})
        EXPECT_EQ(final_outcome(bad), "invalid-encoding") << bad;
    EXPECT_EQ(final_outcome(good + ",m=x" + proof), "extensions-not-supported");
    // A nonce that is too short, too long, only the client's part, or another one.
    for (const std::string& other :
         {nonce.substr(1), nonce + "x", std::string(client_nonce), std::string("x")})
        EXPECT_EQ(final_outcome("c=biws,r=" + other + proof), "other-error") << other;
    for (const char* other : {"eSws", "biwsAAAA", "biw=", "xxxx", "cD10bHM="})
        EXPECT_EQ(final_outcome("c=" + std::string(other) + ",r=" + nonce + proof),
                  "channel-bindings-dont-match")
            << other;
}

TEST(Scram, EveryChangedProofIsWrong) {
    const std::size_t begin = client_final.rfind("p=") + 2;
    for (std::size_t at = begin; at + 2 < client_final.size(); at += 7) {
        std::string changed = client_final;
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        EXPECT_EQ(final_outcome(changed), "invalid-proof") << changed;
    }
    EXPECT_EQ(final_outcome(client_final, false), "invalid-proof") << "the right proof for made-up keys";
}

// The proof covers all that was said: extensions too.
TEST(Scram, ExtensionsOfTheFinalMessageAreProvedToo) {
    const std::string bare = client_first.substr(3);
    EXPECT_EQ(final_outcome(final_for(bare, server_first, "c=biws,r=" + nonce + ",x=1,y=2")), "accepted");
    std::string added = client_final;
    added.insert(added.rfind(",p="), ",x=1");
    EXPECT_EQ(final_outcome(added), "invalid-proof");
}

TEST(ScramKeys, TextForm) {
    const ScramKeys keys = keys_of("pencil");
    // python3: hashlib.pbkdf2_hmac and hmac, from the definitions in RFC 5802 3
    const std::string text =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
        ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    EXPECT_EQ(to_text(keys), text);
    const auto again = parse_scram_keys(std::string_view(text).substr(ScramKeys::scheme.size() + 1));
    ASSERT_TRUE(again.ok()) << again.error();
    EXPECT_EQ(to_text(*again), text);
    EXPECT_TRUE(again->matches("pencil"));
    EXPECT_TRUE(again->matches("pen\xc2\xad\x63il")) << "prepared as a client prepares it";
    EXPECT_FALSE(again->matches("pencil "));
    EXPECT_FALSE(again->matches(""));
    EXPECT_FALSE(again->matches("\xff\x01"));
}

}  // namespace
}  // namespace sluice::auth
