// Who the far end is, and TLS under a Channel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "net/channel.hpp"
#include "net/tls_words.hpp"
#include "tests/unit/net/socket_support.hpp"
#include "tests/unit/net/tls_support.hpp"
#include "tests/unit/net/tls_talk.hpp"

namespace sluice::net {
namespace {

using test::cert;
using test::device;
using test::handshake;
using test::pattern;
using test::server;
using test::server_settings;
using test::TlsClient;

PeerIdentity identity_of(const std::string& subject) {
    const test::Made made = test::make_certificate(subject, "20990101000000");
    tls::Certificates certificate;
    CHECK(mbedtls_x509_crt_parse_file(certificate.get(), made.certificate.c_str()) == 0);
    PeerIdentity identity;
    tls::identify_by(*certificate.get(), identity);
    return identity;
}

TEST(TlsIdentity, SubjectIsWrittenAsRfc4514) {
    const PeerIdentity plain = identity_of("C=DE,O=Plant 7,OU=Pumps,CN=pump-1");
    EXPECT_EQ(plain.common_name, "pump-1");
    EXPECT_EQ(plain.subject, "CN=pump-1,OU=Pumps,O=Plant 7,C=DE");
    const PeerIdentity comma = identity_of("O=A\\, Inc.,CN=x+y");
    EXPECT_EQ(comma.common_name, "x+y");
    EXPECT_EQ(comma.subject, "CN=x\\+y,O=A\\, Inc.");
}

struct Attribute {
    std::string_view oid, value;
    int tag = MBEDTLS_ASN1_UTF8_STRING;
    bool merged = false;
};
constexpr std::string_view common_name = MBEDTLS_OID_AT_CN, organization = MBEDTLS_OID_AT_ORGANIZATION;

/// Of a subject that no honest CA writes.
PeerIdentity identity_of(const std::vector<Attribute>& attributes) {
    std::vector<mbedtls_x509_name> names(attributes.size());
    const auto bytes = [](std::string_view text) {
        return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(text.data()));
    };
    for (std::size_t i = 0; i < names.size(); ++i) {
        const Attribute& a = attributes[i];
        names[i] = {};
        names[i].oid = {MBEDTLS_ASN1_OID, a.oid.size(), bytes(a.oid)};
        names[i].val = {a.tag, a.value.size(), bytes(a.value)};
        names[i].next_merged = a.merged ? 1 : 0;
        if (i > 0) names[i - 1].next = &names[i];
    }
    mbedtls_x509_crt certificate{};  // not freed: it owns nothing
    certificate.subject = names[0];
    PeerIdentity identity;
    tls::identify_by(certificate, identity);
    return identity;
}

// Which of two names would the access rules mean?
TEST(TlsIdentity, TwoCommonNamesAreNone) {
    const PeerIdentity two = identity_of({{common_name, "admin"}, {common_name, "device-0001"}});
    EXPECT_EQ(two.common_name, std::nullopt);
    EXPECT_EQ(two.subject, "CN=device-0001,CN=admin");
    EXPECT_EQ(identity_of("O=nobody").common_name, std::nullopt);
}

TEST(TlsIdentity, NamesThatAreNotCleanTextAreNone) {
    using namespace std::string_view_literals;
    for (const auto name : {"admin\0.example"sv, "a\nb"sv, "\xff\xfe"sv, "\xc3"sv, "\xc0\x80"sv, ""sv}) {
        const PeerIdentity identity = identity_of({{common_name, name}});
        EXPECT_EQ(identity.common_name, std::nullopt) << name;
        EXPECT_EQ(identity.subject.value_or("").substr(0, 6), "CN=#0c") << name;
    }
    EXPECT_EQ(identity_of({{common_name, "\0a"sv, MBEDTLS_ASN1_BMP_STRING}}).common_name, std::nullopt);
    EXPECT_EQ(identity_of({{common_name, "\0a"sv, MBEDTLS_ASN1_BMP_STRING}}).subject, "CN=#1e020061");
    EXPECT_EQ(identity_of({{common_name, "Gerät-1"}}).common_name, "Gerät-1");
}

TEST(TlsIdentity, MultiValuedAndUnknownAttributes) {
    const PeerIdentity identity = identity_of(
        {{organization, " #x "}, {common_name, "a", MBEDTLS_ASN1_UTF8_STRING, true}, {"\x2a\x03", "b"}});
    EXPECT_EQ(identity.subject, "CN=a+1.2.3=b,O=\\ #x\\ ");
    EXPECT_EQ(identity.common_name, "a");
}

/// Moves bytes between the client and the socket until the condition holds.
bool converse(boost::asio::io_context& context, test::PlainEnd& far, TlsClient& client,
              const std::function<bool()>& done) {
    return test::run_until(context, [&] {
        far.write(as_text(std::exchange(client.out, {})));
        append(client.in, as_bytes(far.read_available()));
        return done();
    });
}

// The way of a connection: handshake on one thread, MQTT on another.
TEST(TlsChannel, MovesToAnotherThreadAfterTheHandshake) {
    const auto tls = server(server_settings(ClientCertificate::required));
    boost::asio::io_context context;
    auto pair = test::tcp_pair(context);
    Filters filters;
    filters.push_back(tls->accept());
    Channel channel(std::move(pair.near), std::move(filters));
    test::Recorder handler;
    std::optional<DetachedChannel> moved;
    handler.when_bytes = [&] { moved = channel.detach(as_bytes("connect")); };
    channel.start(handler);
    TlsClient client(device("device-0001"));
    ASSERT_TRUE(converse(context, pair.far, client, [&] { return client.shake(); }));
    client.write("connect");
    ASSERT_TRUE(converse(context, pair.far, client, [&] { return moved.has_value(); }));
    EXPECT_EQ(moved->identity.common_name, "device-0001");
    const std::string big = pattern(300000);
    std::thread shard([&] {
        boost::asio::io_context home;
        test::Recorder recorder;
        Channel arrived(home, std::move(*moved));
        arrived.start(recorder);
        EXPECT_TRUE(converse(home, pair.far, client, [&] { return recorder.bytes == "connect"; }));
        arrived.send(as_bytes(big));
        arrived.flush();
        std::string got;
        EXPECT_TRUE(
            converse(home, pair.far, client, [&] { return (got += client.read()).size() == big.size(); }));
        EXPECT_TRUE(got == big);
        client.write(big);
        EXPECT_TRUE(
            converse(home, pair.far, client, [&] { return recorder.bytes.size() == 7 + big.size(); }));
        EXPECT_TRUE(recorder.bytes == "connect" + big);
        arrived.close_after_flush();
        EXPECT_TRUE(converse(home, pair.far, client, [&] {
            client.read();
            return client.closed_by_server;
        }));
    });
    shard.join();
}

TEST(TlsChannel, AnAlertLeavesBeforeTheSocketCloses) {
    const auto tls = server(server_settings(ClientCertificate::required));
    boost::asio::io_context context;
    auto pair = test::tcp_pair(context);
    Filters filters;
    filters.push_back(tls->accept());
    Channel channel(std::move(pair.near), std::move(filters));
    test::Recorder handler;
    channel.start(handler);
    TlsClient client;
    ASSERT_TRUE(converse(context, pair.far, client, [&] {
        client.shake();
        return client.error() != 0;
    }));
    EXPECT_EQ(client.error(), MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE);
    EXPECT_THAT(handler.closed,
                ::testing::ElementsAre(::testing::HasSubstr("the client sent no certificate")));
}

}  // namespace
}  // namespace sluice::net
