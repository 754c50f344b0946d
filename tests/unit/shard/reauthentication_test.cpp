// A client authenticates again with somebody who takes time to answer: the shard and the client go on
// meanwhile.
#include <gtest/gtest.h>

#include <thread>

#include "shard/shard.hpp"
#include "tests/support/late_authenticator.hpp"
#include "tests/support/raw_client.hpp"

namespace sluice::shard {
namespace {

using test::LateAuthenticator;
using test::RawClient;
using wire::ReasonCode;

/// Nothing here outlives its connection.
class NoStore final : public store::Store {
  public:
    Result<store::Recovered, std::string> open() override { return store::Recovered{}; }
    void start(store::StoreEvents&) override {}
    void stop() override {}
    void post_batch(store::ShardIndex, store::TurnNumber, std::vector<core::LedgerEntry>) override {}
    void post_load_queue(store::ShardIndex, core::SessionKey, core::RowId, std::size_t,
                         std::size_t) override {}
    void post_find_oldest(store::ShardIndex, core::SessionKey, core::RowId, std::size_t) override {}
    store::StoreStats stats() const override { return {}; }
};

class Reauthentication : public testing::Test {
  protected:
    Reauthentication() {
        shard_.set_peers({shard_.as_peer()});
        thread_ = std::thread([this] { shard_.run(); });
    }
    ~Reauthentication() override {
        shard_.post_stop();
        thread_.join();
    }

    /// A client that came in as "ann".
    std::unique_ptr<RawClient> admit(const std::string& client_id) {
        int fds[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = client_id;
        admission.user_name = "ann";
        admission.authentication_method = LateAuthenticator::method;
        auto client = std::make_unique<RawClient>(fds[0]);
        shard_.post_admission(std::move(admission));
        client->expect_connack(ReasonCode::success);
        return client;
    }
    LateAuthenticator::Question ask(RawClient& client, ReasonCode code, std::string_view data) {
        client.send_auth(code, LateAuthenticator::method, data);
        auto question = authenticator_->next_question();
        EXPECT_TRUE(question) << "nobody was asked";
        return question ? std::move(*question) : LateAuthenticator::Question{};
    }
    static ByteBuffer bytes(std::string_view text) { return {text.begin(), text.end()}; }

    NoStore store_;
    core::RetainedIndex retained_{100};
    std::shared_ptr<LateAuthenticator> authenticator_ = std::make_shared<LateAuthenticator>();
    Shard shard_{0, SharedParts{&store_, &retained_, auth::make_allow_all_authorizer(), {}, authenticator_}};
    std::thread thread_;
};

TEST_F(Reauthentication, TheClientIsServedWhileTheAnswerIsOut) {
    const auto client = admit("c");
    const auto first = ask(*client, ReasonCode::reauthenticate, "one");
    EXPECT_EQ(first.data, "one");
    client->expect_silence();
    first.answer(auth::Challenge{bytes("two")});
    client->expect_auth(ReasonCode::continue_authentication, "two");
    const auto second = ask(*client, ReasonCode::continue_authentication, "three");
    EXPECT_EQ(second.data, "three");
    client->expect_silence();
    second.answer(auth::Admitted{{"ann"}, bytes("four")});
    client->expect_auth(ReasonCode::success, "four");
    client->expect_silence();
}

TEST_F(Reauthentication, ARefusalMayComeLate) {
    const auto client = admit("c");
    const auto question = ask(*client, ReasonCode::reauthenticate, "one");
    client->expect_silence();
    // CONNACK has this code, DISCONNECT has not.
    question.answer(auth::Refusal{ReasonCode::bad_user_name_or_password, "because"});
    client->expect_disconnect(ReasonCode::not_authorized);
    EXPECT_EQ(shard_.counters().reauth_refused.get(), 1U);
}

TEST_F(Reauthentication, NobodyElseMayComeOutOfIt) {
    const auto client = admit("c");
    ask(*client, ReasonCode::reauthenticate, "one").answer(auth::Admitted{{"bob"}, {}});
    client->expect_disconnect(ReasonCode::not_authorized);
}

TEST_F(Reauthentication, ContinueBeforeTheChallengeIsAProtocolError) {
    const auto client = admit("c");
    const auto question = ask(*client, ReasonCode::reauthenticate, "one");
    client->send_auth(ReasonCode::continue_authentication, LateAuthenticator::method, "two");
    client->expect_disconnect(ReasonCode::protocol_error);
}

TEST_F(Reauthentication, AnAnswerForAClientThatIsGoneReachesNobody) {
    auto client = admit("c");
    const auto question = ask(*client, ReasonCode::reauthenticate, "one");
    // The same slot, with another connection of the same client, and then with another client's session.
    const auto again = admit("c");
    client->expect_disconnect(ReasonCode::session_taken_over);
    question.answer(auth::Challenge{bytes("late")});
    again->expect_silence();
    const auto second = ask(*again, ReasonCode::reauthenticate, "one");
    again->close();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (shard_.counters().connections.get() != 0) {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline);
        std::this_thread::yield();
    }
    const auto other = admit("d");
    second.answer(auth::Refusal{ReasonCode::not_authorized, "late"});
    other->expect_silence();
}

TEST_F(Reauthentication, AReloadMayTakeTheMethodAway) {
    const auto client = admit("c");
    shard_.post_reload(nullptr, auth::make_allow_all_authorizer(), {});
    client->expect_silence();
    client->send_auth(ReasonCode::reauthenticate, LateAuthenticator::method, "one");
    client->expect_disconnect(ReasonCode::bad_authentication_method);
}

}  // namespace
}  // namespace sluice::shard
