// Idle sessions lend their buffers to each other, and nobody notices.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "net/tls_parking.hpp"
#include "tests/unit/net/socket_support.hpp"
#include "tests/unit/net/tls_talk.hpp"

namespace sluice::net {
namespace {

using test::cert;
using test::feed;
using test::handshake;
using test::pattern;
using test::server;
using test::server_settings;
using test::TlsClient;
using test::to_client;
using test::to_server;

class TlsParking : public testing::Test {
  protected:
    void SetUp() override {
        if (!tls::Parking::possible()) GTEST_SKIP() << "this build does not park TLS sessions";
    }
    std::shared_ptr<TlsContext> context_ = server(server_settings());
};

TEST_F(TlsParking, BetweenRecordsOnly) {
    const auto filter = context_->accept();
    TlsClient client;
    EXPECT_FALSE(filter->parked());
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    EXPECT_EQ(to_server(client, *filter, "hello"), "hello");
    EXPECT_TRUE(filter->parked());

    client.write("in two halves");
    const ByteBuffer wire = std::exchange(client.out, {});
    ByteBuffer plain;
    for (std::size_t at = 1; at < wire.size(); ++at) {
        ASSERT_EQ(feed(*filter, Bytes(wire).subspan(at - 1, 1), plain, client.in), std::nullopt);
        ASSERT_FALSE(filter->parked()) << "a record is half read";
    }
    ASSERT_EQ(feed(*filter, Bytes(wire).last(1), plain, client.in), std::nullopt);
    EXPECT_EQ(as_text(plain), "in two halves");
    EXPECT_TRUE(filter->parked());

    EXPECT_EQ(to_client(client, *filter, "welcome"), "welcome");
    EXPECT_TRUE(filter->parked());
    ByteBuffer farewell;
    filter->close(farewell);
    client.in = farewell;
    client.read();
    EXPECT_TRUE(client.closed_by_server);
}

TEST_F(TlsParking, ManySessionsShareTheBuffersOfOneThread) {
    constexpr std::size_t sessions = 20;
    struct Session {
        std::unique_ptr<TlsFilter> filter;
        std::unique_ptr<TlsClient> client;
    };
    std::vector<Session> all(sessions);
    for (Session& session : all) {
        session = {context_->accept(), std::make_unique<TlsClient>()};
        ASSERT_EQ(handshake(*session.client, *session.filter), std::nullopt);
    }
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        Session& session = all[random() % sessions];
        const std::string text = pattern(1 + random() % (16 * 1024), static_cast<unsigned>(round));
        if (random() % 2 == 0) {
            // In two halves: a busy session keeps its buffers while others come and go.
            session.client->write(text);
            const ByteBuffer wire = std::exchange(session.client->out, {});
            const std::size_t cut = random() % wire.size();
            ByteBuffer plain;
            ASSERT_EQ(feed(*session.filter, Bytes(wire).first(cut), plain, session.client->in), std::nullopt);
            Session& other = all[random() % sessions];
            if (&other != &session) {
                ASSERT_EQ(to_server(*other.client, *other.filter, "between"), "between");
            }
            ASSERT_EQ(feed(*session.filter, Bytes(wire).subspan(cut), plain, session.client->in),
                      std::nullopt);
            ASSERT_TRUE(as_text(plain) == text) << round;
        } else {
            ASSERT_TRUE(to_client(*session.client, *session.filter, text) == text) << round;
        }
    }
    for (const Session& session : all) EXPECT_TRUE(session.filter->parked());
}

// A connection moves from the listener's thread to its shard's after the handshake.
TEST_F(TlsParking, ASessionGoesOnOnAnotherThread) {
    const auto filter = context_->accept();
    TlsClient client;
    ASSERT_EQ(handshake(client, *filter), std::nullopt);
    EXPECT_EQ(to_server(client, *filter, "here"), "here");
    std::thread([&] {
        EXPECT_EQ(to_server(client, *filter, "there"), "there");
        EXPECT_EQ(to_client(client, *filter, "and back"), "and back");
    }).join();
    EXPECT_EQ(to_server(client, *filter, "here again"), "here again");
}

}  // namespace
}  // namespace sluice::net
