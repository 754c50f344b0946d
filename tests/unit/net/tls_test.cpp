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
using test::ClientOptions;
using test::device;
using test::feed;
using test::handshake;
using test::pattern;
using test::server;
using test::server_settings;
using test::TlsClient;
using test::to_client;
using test::to_server;

TEST(Tls, HandshakeAndBothDirections) {
    const auto context = server(server_settings());
    const auto filter = context->accept();
    TlsClient client({.ca = cert("ca.crt")});
    EXPECT_FALSE(filter->ready());
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    EXPECT_TRUE(filter->ready());
    EXPECT_FALSE(filter->resumed());
    EXPECT_EQ(to_server(client, *filter, "hello"), "hello");
    EXPECT_EQ(to_client(client, *filter, "welcome"), "welcome");
    PeerIdentity identity;
    filter->identify(identity);
    EXPECT_EQ(identity.tls_version, "TLSv1.2");
    EXPECT_EQ(identity.common_name, std::nullopt);
    ByteBuffer farewell;
    filter->close(farewell);
    EXPECT_FALSE(farewell.empty());
    client.in = farewell;
    client.read();
    EXPECT_TRUE(client.closed_by_server);
    farewell.clear();
    filter->close(farewell);
    EXPECT_TRUE(farewell.empty());
}

TEST(Tls, PayloadsOfEverySize) {
    const auto context = server(server_settings());
    const auto filter = context->accept();
    TlsClient client;
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    for (const std::size_t size :
         {1U, 2U, 15U, 16U, 17U, 255U, 256U, 4095U, 16383U, 16384U, 16385U, 40000U, 65535U, 65536U}) {
        const std::string text = pattern(size, static_cast<unsigned>(size));
        EXPECT_TRUE(to_server(client, *filter, text) == text) << size;
        EXPECT_TRUE(to_client(client, *filter, text) == text) << size;
    }
}

TEST(Tls, HandshakeInPiecesOfAnySize) {
    const auto context = server(server_settings(ClientCertificate::required));
    for (const std::size_t chunk : {1U, 2U, 3U, 5U, 6U, 64U, 1000U}) {
        const auto filter = context->accept();
        TlsClient client(device("device-0001"));
        ASSERT_EQ(handshake(client, *filter, chunk), std::nullopt) << chunk;
        EXPECT_EQ(to_server(client, *filter, "hello", chunk), "hello");
    }
}

TEST(Tls, RecordsSplitAtEveryByte) {
    const auto context = server(server_settings());
    const auto filter = context->accept();
    TlsClient client;
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    for (std::size_t at = 0;; ++at) {
        client.write("first packet");
        client.write("second");
        const ByteBuffer wire = std::exchange(client.out, {});
        if (at > wire.size()) break;
        ByteBuffer plain;
        ASSERT_EQ(feed(*filter, Bytes(wire).first(at), plain, client.in), std::nullopt);
        ASSERT_EQ(feed(*filter, Bytes(wire).subspan(at), plain, client.in), std::nullopt);
        ASSERT_EQ(as_text(plain), "first packetsecond") << at;
    }
}

TEST(Tls, CertificateIsTheIdentity) {
    for (const auto mode : {ClientCertificate::required, ClientCertificate::optional}) {
        const auto context = server(server_settings(mode));
        const auto filter = context->accept();
        TlsClient client(device("device-0002"));
        ASSERT_EQ(handshake(client, *filter), std::nullopt);
        PeerIdentity identity;
        filter->identify(identity);
        EXPECT_EQ(identity.common_name, "device-0002");
        EXPECT_EQ(identity.subject, "CN=device-0002,O=Sluice development");
    }
}

TEST(Tls, WithoutAskingACertificateIsNoIdentity) {
    const auto context = server(server_settings());
    const auto filter = context->accept();
    TlsClient client(device("device-0001"));
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    PeerIdentity identity;
    filter->identify(identity);
    EXPECT_EQ(identity.common_name, std::nullopt);
}

TEST(Tls, MissingCertificate) {
    {
        const auto context = server(server_settings(ClientCertificate::required));
        const auto filter = context->accept();
        TlsClient client;
        EXPECT_EQ(
            handshake(client, *filter),
            "TLS handshake failed: the client sent no certificate, and client_certificate = \"required\"");
        EXPECT_FALSE(filter->ready());
        EXPECT_EQ(client.error(), MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE);
    }
    const auto context = server(server_settings(ClientCertificate::optional));
    const auto filter = context->accept();
    TlsClient client;
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    PeerIdentity identity;
    filter->identify(identity);
    EXPECT_EQ(identity.common_name, std::nullopt);
}

// "optional" does not mean that a bad certificate is as good as none.
TEST(Tls, BadClientCertificatesAreRefused) {
    for (const auto mode : {ClientCertificate::required, ClientCertificate::optional}) {
        const auto context = server(server_settings(mode));
        const std::pair<const char*, const char*> cases[] = {
            {"wrong-device", "TLS handshake failed: the client's certificate is not signed by client_ca"},
            {"expired-device", "TLS handshake failed: the client's certificate has expired"},
            {"server",
             "TLS handshake failed: the client's certificate is not meant for TLS clients "
             "(extendedKeyUsage clientAuth)"}};
        for (const auto& [name, why] : cases) {
            const auto filter = context->accept();
            TlsClient client(device(name));
            EXPECT_EQ(handshake(client, *filter), why);
            EXPECT_FALSE(filter->ready());
            EXPECT_EQ(client.error(), MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) << name;
        }
    }
}

TEST(Tls, ClientThatDoesNotTrustUs) {
    const auto context = server(server_settings());
    const auto filter = context->accept();
    TlsClient client({.ca = cert("wrong-ca.crt")});
    EXPECT_EQ(handshake(client, *filter),
              "TLS handshake failed: the client does not trust our certificate (alert unknown_ca)");
}

TEST(Tls, NotTlsAtAll) {
    const auto context = server(server_settings());
    ByteBuffer plain, reply;
    EXPECT_EQ(feed(*context->accept(), as_bytes("\x10\x0c"), plain, reply),
              "TLS handshake failed: not TLS at all (plain MQTT sent to a TLS port?)");
    EXPECT_EQ(feed(*context->accept(), as_bytes("GET / HTTP/1.1"), plain, reply),
              "TLS handshake failed: not TLS at all");
    EXPECT_EQ(feed(*context->accept(), as_bytes(std::string_view("\x16\x03\x01\x48\x01", 5)), plain, reply),
              "TLS handshake failed: its first record is larger than TLS allows");
    EXPECT_TRUE(reply.empty());
}

TEST(Tls, GarbageIsRefusedInAnyForm) {
    const auto context = server(server_settings());
    for (unsigned seed = 0; seed < 300; ++seed) {
        const auto filter = context->accept();
        std::string garbage = pattern(600, seed);
        // Deeper and deeper into a well-formed beginning.
        const std::string_view hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
        garbage.replace(0, seed % 12, hello.substr(0, seed % 12));
        ByteBuffer plain, reply;
        (void)feed(*filter, as_bytes(garbage), plain, reply, 1 + seed % 50);
        EXPECT_FALSE(filter->ready());
        EXPECT_TRUE(plain.empty());
    }
}

TEST(Tls, NoCommonVersionOrCipher) {
    const auto context = server(server_settings());
    {
        const auto filter = context->accept();
        TlsClient client({.suites = {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256}});
        const auto failed = handshake(client, *filter);
        EXPECT_THAT(failed.value_or(""),
                    ::testing::StartsWith("TLS handshake failed: no common cipher suite"));
        EXPECT_EQ(client.error(), MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE);
    }
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    const auto filter = context->accept();
    TlsClient client({.tls11 = true});
    EXPECT_EQ(handshake(client, *filter),
              "TLS handshake failed: no common TLS version: the client offers none from 1.2 on");
#endif
}

TEST(Tls, DamagedRecordEndsTheSession) {
    const auto context = server(server_settings());
    const auto filter = context->accept();
    TlsClient client;
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    client.write("good");
    client.write("bad");
    ByteBuffer plain, reply, wire = client.out;
    wire.back() ^= 1;
    EXPECT_EQ(feed(*filter, wire, plain, reply), "TLS: a record was damaged on its way (bad_record_mac)");
    EXPECT_EQ(as_text(plain), "good");
    EXPECT_FALSE(reply.empty());
    ByteBuffer more;
    EXPECT_FALSE(filter->send(as_bytes("x"), more).ok());
    filter->close(more);
    EXPECT_TRUE(more.empty());
}

TEST(Tls, BytesBeforeTheClientsFarewellAreDelivered) {
    const auto context = server(server_settings());
    const auto filter = context->accept();
    TlsClient client;
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    client.write("disconnect");
    client.close();
    ByteBuffer plain;
    EXPECT_EQ(feed(*filter, client.out, plain, client.in), "closed by the peer");
    EXPECT_EQ(as_text(plain), "disconnect");
    client.read();
    EXPECT_TRUE(client.closed_by_server);
}

/// A second connection with the session of a first one.
struct Again {
    std::optional<std::string> failed;
    bool resumed = false;
    PeerIdentity identity;
};
Again reconnect(TlsContext& first, TlsContext& second, const ClientOptions& options) {
    const auto one = first.accept();
    TlsClient client(options);
    EXPECT_EQ(handshake(client, *one), std::nullopt);
    const auto session = client.session();
    const auto two = second.accept();
    TlsClient returning(options);
    returning.resume(*session);
    Again again;
    again.failed = handshake(returning, *two);
    again.resumed = two->resumed();
    two->identify(again.identity);
    if (!again.failed) {
        EXPECT_EQ(to_server(returning, *two, "again"), "again");
    }
    return again;
}

TEST(Tls, ResumesByTicketAndKeepsTheIdentity) {
    const auto context = server(server_settings(ClientCertificate::required));
    const Again again = reconnect(*context, *context, device("device-0001"));
    EXPECT_EQ(again.failed, std::nullopt);
    EXPECT_TRUE(again.resumed);
    EXPECT_EQ(again.identity.common_name, "device-0001");
}

TEST(Tls, ResumesBySessionIdForClientsWithoutTickets) {
    const auto context = server(server_settings(ClientCertificate::required));
    ClientOptions options = device("device-0001");
    options.tickets = false;
    const Again again = reconnect(*context, *context, options);
    EXPECT_EQ(again.failed, std::nullopt);
    EXPECT_TRUE(again.resumed);
    EXPECT_EQ(again.identity.common_name, "device-0001");
}

TEST(Tls, NothingIsResumedWhenSwitchedOff) {
    TlsSettings settings = server_settings();
    settings.session_tickets = false;
    const auto context = server(settings);
    for (const bool tickets : {true, false}) {
        const Again again = reconnect(*context, *context, {.ca = cert("ca.crt"), .tickets = tickets});
        EXPECT_EQ(again.failed, std::nullopt);
        EXPECT_FALSE(again.resumed);
    }
}

// A ticket of a listener that asks for no certificate must not open one that does.
TEST(Tls, TicketsOfAnotherListenerMeanNothing) {
    const auto open = server(server_settings());
    const auto strict = server(server_settings(ClientCertificate::required));
    const Again without = reconnect(*open, *strict, {.ca = cert("ca.crt")});
    EXPECT_EQ(without.failed,
              "TLS handshake failed: the client sent no certificate, and client_certificate = \"required\"");
    const Again with = reconnect(*open, *strict, device("device-0001"));
    EXPECT_EQ(with.failed, std::nullopt);
    EXPECT_FALSE(with.resumed);
}

// TLS 1.2 does not look at the certificate again when a session is resumed: we do.
TEST(Tls, CertificateThatExpiredSinceIsRefusedAlsoWhenResumed) {
    const auto context = server(server_settings(ClientCertificate::required));
    const test::Made made = test::make_certificate("CN=short-lived,O=x", test::certificate_time(2));
    const ClientOptions options{.ca = cert("ca.crt"), .certificate = made.certificate, .key = made.key};
    const auto one = context->accept();
    TlsClient client(options);
    ASSERT_EQ(handshake(client, *one), std::nullopt);
    const auto session = client.session();
    tls::Certificates certificate;
    ASSERT_EQ(mbedtls_x509_crt_parse_file(certificate.get(), made.certificate.c_str()), 0);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!mbedtls_x509_time_is_past(&certificate->valid_to) && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const auto two = context->accept();
    TlsClient returning(options);
    returning.resume(*session);
    EXPECT_EQ(handshake(returning, *two), "TLS handshake failed: the client's certificate has expired");
    EXPECT_FALSE(two->ready());
}

TEST(Tls, ManyThreadsHandshakeAtOnceAndResumeEachOthersSessions) {
    const auto context = server(server_settings(ClientCertificate::required));
    TlsClient first(device("device-0001"));
    ASSERT_EQ(handshake(first, *context->accept()), std::nullopt);
    const auto session = first.session();
    std::vector<std::thread> threads;
    std::atomic<int> full = 0, resumed = 0;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 4; ++i) {
                const auto filter = context->accept();
                TlsClient client(device("device-0003"));
                EXPECT_EQ(handshake(client, *filter), std::nullopt);
                if (!filter->resumed()) ++full;
                const auto again = context->accept();
                TlsClient returning(device("device-0001"));
                returning.resume(*session);
                EXPECT_EQ(handshake(returning, *again), std::nullopt);
                if (again->resumed()) ++resumed;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(full, 16);
    EXPECT_EQ(resumed, 16);
}

}  // namespace
}  // namespace sluice::net
