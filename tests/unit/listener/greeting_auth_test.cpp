// Enhanced authentication with somebody who takes time to answer, on another thread.
#include "tests/unit/listener/greeting_fixture.hpp"

namespace sluice::listener {
namespace {

class GreetingAuth : public GreetingTest {};

TEST_F(GreetingAuth, AsManyStepsAsTheMethodWants) {
    start();
    const auto client = connect("one");
    for (const auto& [asked, answered] : {std::pair("one", "two"), std::pair("three", "four")}) {
        const auto now = question();
        EXPECT_EQ(now.data, asked);
        now.answer(auth::Challenge{bytes(answered)});
        client->expect_auth(ReasonCode::continue_authentication, answered);
        client->send_auth(ReasonCode::continue_authentication, LateAuthenticator::method,
                          asked == std::string("one") ? "three" : "five");
    }
    const auto last = question();
    EXPECT_EQ(last.data, "five");
    EXPECT_TRUE(door_.is_empty());
    last.answer(auth::Admitted{{"ann"}, bytes("six")});
    const auto admitted = door_.next();
    ASSERT_TRUE(admitted);
    EXPECT_EQ(admitted->user_name, "ann");
    EXPECT_EQ(admitted->authentication_method, LateAuthenticator::method);
    EXPECT_EQ(as_text(admitted->authentication_data), "six");
}

TEST_F(GreetingAuth, ARefusalMayComeLate) {
    start();
    const auto client = connect("one");
    question().answer(auth::Refusal{ReasonCode::banned, "because", "go away"});
    client->expect_connack(ReasonCode::banned);
    EXPECT_TRUE(client->next().closed);
}

TEST_F(GreetingAuth, WhatComesBeforeTheAnswerWaits) {
    start();
    const auto client = connect("one");
    const auto first = question();
    client->send_auth(ReasonCode::continue_authentication, LateAuthenticator::method, "too early");
    first.answer(auth::Challenge{bytes("two")});
    client->expect_auth(ReasonCode::continue_authentication, "two");
    EXPECT_EQ(question().data, "too early");
}

TEST_F(GreetingAuth, TheDeadlineHoldsWhileTheAnswerIsOut) {
    start(std::chrono::seconds(1));
    const auto client = connect("one");
    const auto late = question();
    EXPECT_TRUE(client->next().closed);
    late.answer(auth::Admitted{{"ann"}, {}});  // for nobody
    const auto other = connect("two");
    question().answer(auth::Challenge{bytes("three")});
    other->expect_auth(ReasonCode::continue_authentication, "three");
    EXPECT_TRUE(door_.is_empty());
}

TEST_F(GreetingAuth, TheDeadlineHoldsForTheWholeExchange) {
    start(std::chrono::seconds(1));
    const auto client = connect("one");
    question().answer(auth::Challenge{bytes("two")});
    client->expect_auth(ReasonCode::continue_authentication, "two");
    EXPECT_TRUE(client->next().closed);
}

TEST_F(GreetingAuth, AnExchangeThatWaitsForTheClientGivesWay) {
    start(std::chrono::seconds(10), 1);
    const auto silent = connect("one");
    question().answer(auth::Challenge{bytes("two")});
    silent->expect_auth(ReasonCode::continue_authentication, "two");
    const auto next = connect("three");
    EXPECT_TRUE(silent->next().closed);
    question().answer(auth::Challenge{bytes("four")});
    next->expect_auth(ReasonCode::continue_authentication, "four");
}

TEST_F(GreetingAuth, WhoWaitsTooLongForItsPasswordCheckIsToldSo) {
    start(std::chrono::seconds(2));
    const auto client = open();
    wire::Connect packet;
    packet.client_id = "c";
    packet.user_name = "slow";
    ByteBuffer out;
    wire::encode_connect(out, packet);
    client->send(out);
    const auto credentials = authenticator_->kept_credentials();
    ASSERT_TRUE(credentials && credentials->given_up);
    EXPECT_EQ(credentials->patience, std::chrono::seconds(1));
    EXPECT_FALSE(*credentials->given_up);
    client->expect_connack(ReasonCode::server_busy);
    EXPECT_TRUE(client->next().closed);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!*credentials->given_up && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_TRUE(*credentials->given_up);
}

/// Has no memory left.
class ThrowingAuthorizer final : public auth::Authorizer {
    bool allows(auth::Action, std::string_view, std::string_view, std::string_view) const override {
        throw std::bad_alloc();
    }
};

TEST_F(GreetingAuth, AFaultCostsOneNewcomerOnly) {
    authorizer_ = std::make_shared<ThrowingAuthorizer>();
    start();
    wire::Will will;
    will.topic = "last";
    const auto client = connect("one", will);
    question().answer(auth::Admitted{{"ann"}, {}});
    EXPECT_TRUE(client->next().closed);
    const auto other = connect("two");
    question().answer(auth::Admitted{{"bob"}, {}});
    EXPECT_TRUE(door_.next());
}

constexpr auto never = std::chrono::seconds(1000);
// 1'000'000 bytes follow, says the fixed header.
const ByteBuffer large_connect{0x10, 0xC0, 0x84, 0x3D}, large_publish{0x30, 0xC0, 0x84, 0x3D};

TEST_F(GreetingAuth, WhatIsNoConnectIsRefusedAtItsFirstByte) {
    start(never);
    const auto stranger = open();
    stranger->send({large_publish[0]});
    EXPECT_TRUE(stranger->next().closed);
}

TEST_F(GreetingAuth, WhatIsNoAuthIsRefusedAtItsFirstByte) {
    start(never);
    const auto client = connect("one");
    question().answer(auth::Challenge{bytes("two")});
    client->expect_auth(ReasonCode::continue_authentication, "two");
    client->send({large_publish[0]});
    client->expect_connack(ReasonCode::protocol_error);
    EXPECT_TRUE(client->next().closed);
}

TEST_F(GreetingAuth, AllNewcomersTogetherKeepLittle) {
    start(never);
    std::vector<std::unique_ptr<RawClient>> strangers;
    for (int i = 0; i < 20; ++i) {
        ByteBuffer begun = large_connect;
        begun.resize(900'000);
        strangers.push_back(open());
        strangers.back()->send(begun);
    }
    EXPECT_TRUE(strangers.front()->next().closed);
    EXPECT_LE(listeners_->lobby()->newcomers.kept_bytes(), 16U << 20);
    strangers.clear();
    // A large will finds room.
    const std::string payload(60'000, 'w');
    wire::Will will;
    will.topic = "last";
    will.payload = as_bytes(payload);
    will.properties.will_delay_interval_s = 7;
    const auto client = connect("one", will);
    question().answer(auth::Admitted{{"ann"}, {}});
    const auto admitted = door_.next();
    ASSERT_TRUE(admitted && admitted->will);
    EXPECT_EQ(as_text(admitted->will->message->payload()), payload);
    EXPECT_EQ(admitted->will->delay_s, 7U);
}

TEST_F(GreetingAuth, AnAnswerMayComeWhenTheListenersHaveStopped) {
    start();
    const auto client = connect("one");
    const auto late = question();
    listeners_->stop();
    late.answer(auth::Admitted{{"ann"}, {}});
    EXPECT_TRUE(door_.is_empty());
}

}  // namespace
}  // namespace sluice::listener
