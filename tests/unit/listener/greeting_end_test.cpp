// How a greeting ends: answers that are held back after wrong passwords, and the way out of who is refused.
#include "auth/password_authenticator.hpp"
#include "auth/password_edit.hpp"
#include "tests/unit/listener/greeting_fixture.hpp"

namespace sluice::listener {
namespace {

using namespace std::chrono_literals;

const net::IpAddress loopback = *net::parse_ip("127.0.0.1");

class GreetingEnd : public GreetingTest {
  protected:
    void start_with_passwords() {
        const auto entry = auth::make_mosquitto_entry("ann", "right").value();
        passwords_ =
            std::make_shared<auth::PasswordAuthenticator>(auth::parse_passwords(entry, "passwd").value());
        start();
    }
    std::unique_ptr<RawClient> log_in(const std::string& password, std::uint32_t from = INADDR_LOOPBACK) {
        auto client = open(from);
        wire::Connect packet;
        packet.client_id = "c";
        packet.user_name = "ann";
        packet.password = as_bytes(password);
        ByteBuffer out;
        wire::encode_connect(out, packet);
        client->send(out);
        return client;
    }
    std::unique_ptr<RawClient> refused() {
        auto client = open();
        wire::Connect packet;
        packet.client_id = "c";
        packet.properties.authentication_method = "unheard of";
        ByteBuffer out;
        wire::encode_connect(out, packet);
        client->send(out);
        client->expect_connack(ReasonCode::bad_authentication_method);
        return client;
    }
    /// As others of the house see it, and may change it.
    Lobby& lobby() { return const_cast<Lobby&>(*listeners_->lobby()); }
    template <class Condition>
    static bool eventually(Condition&& condition) {
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        return condition();
    }
};

TEST_F(GreetingEnd, AfterManyWrongPasswordsEveryAnswerFromThereIsLate) {
    start_with_passwords();
    log_in("wrong")->expect_connack(ReasonCode::bad_user_name_or_password);
    EXPECT_EQ(lobby().stats.held_back(), 0U);
    // Others before; a few more than free ones, for time forgives some while the test runs.
    for (int i = 0; i < GuessDamper::free_guesses + 4; ++i)
        lobby().guesses.note_wrong(loopback, Now::read().mono);
    const auto expect_late = [&](std::uint64_t count, auto&& answer) {
        const auto before = std::chrono::steady_clock::now();
        answer();
        EXPECT_GE(std::chrono::steady_clock::now() - before, GuessDamper::delay_step);
        EXPECT_EQ(lobby().stats.held_back(), count);
    };
    expect_late(1, [&] { log_in("wrong")->expect_connack(ReasonCode::bad_user_name_or_password); });
    // The right one too: otherwise nobody would wait for the others.
    expect_late(2, [&] {
        const auto client = log_in("right");
        const auto admitted = door_.next();
        ASSERT_TRUE(admitted);
        EXPECT_EQ(admitted->user_name, "ann");
    });
    const auto elsewhere = log_in("right", INADDR_LOOPBACK + 1);
    EXPECT_TRUE(door_.next());
    EXPECT_EQ(lobby().stats.held_back(), 2U);
}

TEST_F(GreetingEnd, WhoComesWithoutAPasswordIsNotSlowed) {
    start();
    for (int i = 0; i < 100; ++i) lobby().guesses.note_wrong(loopback, Now::read().mono);
    const auto client = open();
    wire::Connect packet;
    packet.client_id = "c";
    ByteBuffer out;
    wire::encode_connect(out, packet);
    client->send(out);
    EXPECT_TRUE(door_.next());
    EXPECT_EQ(lobby().stats.held_back(), 0U);
}

TEST_F(GreetingEnd, NoMoreAreTriedThanAnswersMayBeHeldBack) {
    start_with_passwords();
    lobby().guesses.note_wrong(loopback, Now::read().mono);
    std::vector<GuessDamper::Held> held;
    for (std::size_t i = 0; i < GuessDamper::held_max; ++i) held.push_back(lobby().guesses.hold(loopback));
    log_in("right")->expect_connack(ReasonCode::quota_exceeded);
    EXPECT_EQ(lobby().stats.turned_away(TurnedAway::guesses), 1U);
    EXPECT_EQ(lobby().stats.turned_away(TurnedAway::refused), 0U);
    held.pop_back();
    const auto client = log_in("right");
    EXPECT_TRUE(door_.next());
}

TEST_F(GreetingEnd, WhoIsRefusedKeepsItsPlaceUntilItsSocketIsClosed) {
    start();
    auto one = refused(), two = refused();
    const Newcomers& newcomers = lobby().newcomers;
    EXPECT_TRUE(eventually([&] { return newcomers.size() == 2; })) << newcomers.size();
    EXPECT_EQ(newcomers.owing(), 2U);
    EXPECT_EQ(lobby().counts->total(), 2U);
    one.reset();
    two.reset();
    EXPECT_TRUE(eventually([&] { return newcomers.size() == 0 && lobby().counts->total() == 0; }));
    EXPECT_EQ(lobby().stats.turned_away(TurnedAway::refused), 2U);
    EXPECT_EQ(lobby().stats.turned_away(TurnedAway::broke_off), 0U);
}

TEST_F(GreetingEnd, WhoIsRefusedGivesWayFirst) {
    start(10s, 2);
    const auto silent = open();
    EXPECT_TRUE(eventually([&] { return lobby().newcomers.owing() == 1; }));
    std::vector<std::unique_ptr<RawClient>> crowd;
    for (int i = 0; i < 20; ++i) {
        crowd.push_back(refused());
        EXPECT_LE(lobby().newcomers.owing(), 2U);
    }
    EXPECT_EQ(lobby().stats.turned_away(TurnedAway::newcomers_full), 0U) << "each was counted as refused";
    EXPECT_EQ(lobby().stats.turned_away(TurnedAway::refused), 20U);
    wire::Connect packet;  // the first of all is still here
    packet.client_id = "patient";
    ByteBuffer out;
    wire::encode_connect(out, packet);
    silent->send(out);
    const auto admitted = door_.next();
    ASSERT_TRUE(admitted);
    EXPECT_EQ(admitted->client_id, "patient");
}

}  // namespace
}  // namespace sluice::listener
