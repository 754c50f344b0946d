#include "auth/password_authenticator.hpp"

#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <vector>

#include "tests/unit/auth/golden_passwords.hpp"

namespace sluice::auth {
namespace {

using wire::ReasonCode;
using namespace std::string_literals;

PasswordTable golden_table() {
    return parse_passwords(test::golden_file, "golden").value();
}

Credentials user(std::string name, std::optional<std::string> password) {
    Credentials credentials;
    credentials.client_id = "c";
    credentials.user_name = std::move(name);
    credentials.password = std::move(password);
    return credentials;
}

/// Asks and waits for the answer, wherever it comes from.
Result<Principal, Refusal> ask(Authenticator& authenticator, const Credentials& credentials) {
    std::promise<Result<Principal, Refusal>> promise;
    authenticator.authenticate(credentials,
                               [&](Result<Principal, Refusal> answer) { promise.set_value(answer); });
    return promise.get_future().get();
}

/// Keeps the worker busy from the first answer on until let go.
struct Stopper {
    std::promise<void> entered, release;
    void hold(Authenticator& authenticator) {
        authenticator.authenticate(user("alice", "x"), [this](const Result<Principal, Refusal>&) {
            entered.set_value();
            release.get_future().wait();
        });
        entered.get_future().wait();
    }
};

TEST(PasswordAuthenticator, LetsKnownUsersIn) {
    PasswordAuthenticator authenticator(golden_table());
    for (const auto& each : test::golden_users) {
        const auto answer = ask(authenticator, user(std::string(each.name), std::string(each.password)));
        ASSERT_TRUE(answer.ok()) << each.name;
        EXPECT_EQ(answer->user_name, each.name);
    }
}

TEST(PasswordAuthenticator, RefusesTheOthersAndSaysWhyInTheLogOnly) {
    PasswordAuthenticator authenticator(golden_table());
    const auto refusal = [&](const Credentials& credentials) {
        const auto answer = ask(authenticator, credentials);
        EXPECT_FALSE(answer.ok());
        return answer.ok() ? Refusal{} : answer.error();
    };
    EXPECT_EQ(refusal(user("alice", "wrong")).why, "wrong password");
    EXPECT_EQ(refusal(user("mallory", "wonderland")).why, "unknown user");
    EXPECT_EQ(refusal(user("alice", std::nullopt)).why, "no password");
    EXPECT_EQ(refusal(user("dave", std::nullopt)).why, "no password");  // whose password is empty, not absent
    EXPECT_EQ(refusal(user("", "")).why, "unknown user");
    EXPECT_EQ(refusal(user("alice", "wrong")).code, ReasonCode::bad_user_name_or_password);
    EXPECT_EQ(refusal(user("mallory", "x")).code, ReasonCode::bad_user_name_or_password);
    EXPECT_EQ(refusal(Credentials{}).code, ReasonCode::not_authorized);
}

TEST(PasswordAuthenticator, AWrongPasswordIsNotAnonymous) {
    PasswordAuthenticator authenticator(golden_table());
    Credentials credentials = user("alice", "wrong");
    credentials.anonymous_allowed = true;
    EXPECT_FALSE(ask(authenticator, credentials).ok());
    credentials.user_name.reset();
    const auto answer = ask(authenticator, credentials);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->user_name, "");
}

TEST(PasswordAuthenticator, ACertificateIsEnough) {
    PasswordAuthenticator authenticator(golden_table());
    Credentials credentials = user("alice", "wrong");
    credentials.certificate_name = "device-7";
    const auto answer = ask(authenticator, credentials);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->user_name, "device-7");
    credentials.certificate_name = "";
    credentials.anonymous_allowed = true;
    EXPECT_FALSE(ask(authenticator, credentials).ok());
    EXPECT_EQ(authenticator.hashes(), 0U);
}

// One hash whatever the outcome: the time tells nothing about which names exist.
TEST(PasswordAuthenticator, UnknownUsersCostAHashToo) {
    PasswordAuthenticator authenticator(golden_table());
    std::uint64_t expected = 0;
    for (const auto& credentials : {user("alice", "wonderland"), user("alice", "wrong"), user("mallory", "x"),
                                    user("alice", std::nullopt), user("mallory", std::nullopt)}) {
        (void)ask(authenticator, credentials);
        // Counted before the answer is given.
        EXPECT_EQ(authenticator.hashes(), ++expected);
    }
}

TEST(PasswordAuthenticator, AFullQueueRefusesWithServerBusy) {
    PasswordAuthenticator authenticator(golden_table(), 2);
    Stopper stopper;
    stopper.hold(authenticator);
    std::vector<std::future<ReasonCode>> answers;
    for (int i = 0; i < 4; ++i) {
        auto promise = std::make_shared<std::promise<ReasonCode>>();
        answers.push_back(promise->get_future());
        authenticator.authenticate(
            user("alice", "wonderland"), [promise](const Result<Principal, Refusal>& answer) {
                promise->set_value(answer.ok() ? ReasonCode::success : answer.error().code);
            });
    }
    EXPECT_EQ(answers[2].get(), ReasonCode::server_busy);
    EXPECT_EQ(answers[3].get(), ReasonCode::server_busy);
    stopper.release.set_value();
    EXPECT_EQ(answers[0].get(), ReasonCode::success);
    EXPECT_EQ(answers[1].get(), ReasonCode::success);
}

/// Asks for many, of whatever address, and keeps what they were told in the order of the answers.
struct Crowd {
    explicit Crowd(Authenticator& of) : authenticator(of) {}
    void ask(const std::string& name, const std::string& source) {
        Credentials credentials = user("alice", "wonderland");
        credentials.source = source;
        ++asked;
        authenticator.authenticate(credentials, [this, name](const Result<Principal, Refusal>& answer) {
            const std::lock_guard lock(mutex);
            const auto code = answer.ok() ? ReasonCode::success : answer.error().code;
            answers.emplace_back(name, code);
            if (answers.size() == asked) all.set_value();
        });
    }
    std::vector<std::pair<std::string, ReasonCode>> wait() {
        all.get_future().wait();
        return answers;
    }
    Authenticator& authenticator;
    std::atomic<std::size_t> asked{1};  // the end of the asking is one of them
    void done() {
        const std::lock_guard lock(mutex);
        if (answers.size() == --asked) all.set_value();
    }
    std::mutex mutex;
    std::vector<std::pair<std::string, ReasonCode>> answers;
    std::promise<void> all;
};

TEST(PasswordAuthenticator, AFloodFromOneAddressDelaysAnotherByOneHash) {
    PasswordAuthenticator authenticator(golden_table());
    Stopper stopper;
    stopper.hold(authenticator);
    Crowd crowd(authenticator);
    for (int i = 0; i < 100; ++i) crowd.ask("flood", "192.0.2.1");
    crowd.ask("other", "192.0.2.2");
    crowd.done();
    stopper.release.set_value();
    const auto answers = crowd.wait();
    ASSERT_EQ(answers.size(), 101U);
    EXPECT_EQ(answers[1], std::pair("other"s, ReasonCode::success));
}

TEST(PasswordAuthenticator, OneAddressMayHaveHalfOfTheQueueAndGivesWay) {
    PasswordAuthenticator authenticator(golden_table(), 4);
    Stopper stopper;
    stopper.hold(authenticator);
    Crowd crowd(authenticator);
    for (const char* name : {"a1", "a2", "a3"}) crowd.ask(name, "a");  // the third is one too many
    for (const char* name : {"b1", "b2"}) crowd.ask(name, "b");
    crowd.ask("c1", "c");  // full: the last of those who have most goes
    for (const char* name : {"d1", "e1"}) crowd.ask(name, name);
    crowd.done();
    stopper.release.set_value();
    const auto answers = crowd.wait();
    const auto code_of = [&](const std::string& name) {
        for (const auto& [who, code] : answers)
            if (who == name) return code;
        return ReasonCode::unspecified_error;
    };
    EXPECT_EQ(answers.front(), std::pair("a3"s, ReasonCode::quota_exceeded)) << "at once";
    for (const char* name : {"a1", "b1", "c1", "d1"}) EXPECT_EQ(code_of(name), ReasonCode::success) << name;
    for (const char* name : {"a2", "b2"}) EXPECT_EQ(code_of(name), ReasonCode::quota_exceeded) << name;
    EXPECT_EQ(code_of("e1"), ReasonCode::server_busy) << "everybody has one: nobody gives way";
}

TEST(PasswordAuthenticator, SaysWhatWasAGuess) {
    PasswordAuthenticator authenticator(golden_table());
    EXPECT_TRUE(ask(authenticator, user("alice", "wrong")).error().guessed);
    EXPECT_TRUE(ask(authenticator, user("mallory", "x")).error().guessed);
    EXPECT_FALSE(ask(authenticator, Credentials{}).error().guessed);
}

TEST(PasswordAuthenticator, WhoHasGivenUpCostsNoHash) {
    PasswordAuthenticator authenticator(golden_table(), 3);
    Stopper stopper;
    stopper.hold(authenticator);
    const auto gone = std::make_shared<std::atomic<bool>>(false);
    std::vector<std::future<ReasonCode>> answers;
    const auto ask_for = [&](const Credentials& credentials) {
        auto promise = std::make_shared<std::promise<ReasonCode>>();
        answers.push_back(promise->get_future());
        authenticator.authenticate(credentials, [promise](const Result<Principal, Refusal>& answer) {
            promise->set_value(answer.ok() ? ReasonCode::success : answer.error().code);
        });
    };
    Credentials theirs = user("alice", "wonderland");
    theirs.given_up = gone;
    for (int i = 0; i < 3; ++i) ask_for(theirs);
    *gone = true;
    ask_for(user("alice", "wonderland"));  // finds the queue full of those who have gone
    ask_for(theirs);
    const auto hashes = authenticator.hashes();
    stopper.release.set_value();
    EXPECT_EQ(answers[3].get(), ReasonCode::success);
    for (const int i : {0, 1, 2, 4}) EXPECT_EQ(answers[i].get(), ReasonCode::server_busy) << i;
    EXPECT_EQ(authenticator.hashes(), hashes + 1);
}

TEST(PasswordAuthenticator, NobodyWaitsLongerThanIsWorthIt) {
    PasswordAuthenticator authenticator(golden_table());
    Credentials hasty = user("alice", "wonderland");
    hasty.patience = std::chrono::milliseconds(0);
    // Nothing is known of the time yet: it waits, and is found too late.
    Stopper stopper;
    stopper.hold(authenticator);
    std::promise<ReasonCode> late;
    authenticator.authenticate(hasty, [&](const Result<Principal, Refusal>& answer) {
        late.set_value(answer.ok() ? ReasonCode::success : answer.error().code);
    });
    const auto hashes = authenticator.hashes();
    stopper.release.set_value();
    EXPECT_EQ(late.get_future().get(), ReasonCode::server_busy);
    EXPECT_EQ(authenticator.hashes(), hashes);
    EXPECT_TRUE(ask(authenticator, user("alice", "wonderland")).ok());
    auto code = ReasonCode::success;
    authenticator.authenticate(hasty, [&](const Result<Principal, Refusal>& answer) {
        code = answer.ok() ? ReasonCode::success : answer.error().code;
    });
    EXPECT_EQ(code, ReasonCode::server_busy) << "foreseeable, and so at once";
}

TEST(PasswordAuthenticator, TheDestructorAnswersWhatWaits) {
    Stopper stopper;
    std::vector<ReasonCode> codes;
    std::thread opener;
    {
        PasswordAuthenticator authenticator(golden_table());
        stopper.hold(authenticator);
        for (int i = 0; i < 3; ++i)
            authenticator.authenticate(
                user("alice", "wonderland"), [&](const Result<Principal, Refusal>& answer) {
                    codes.push_back(answer.ok() ? ReasonCode::success : answer.error().code);
                });
        opener = std::thread([&] { stopper.release.set_value(); });
    }
    opener.join();
    ASSERT_EQ(codes.size(), 3U);  // some may have been checked before the end came
    for (const ReasonCode code : codes)
        EXPECT_TRUE(code == ReasonCode::server_busy || code == ReasonCode::success);
}

TEST(PasswordAuthenticator, AnswersNobodyFromAnotherThreadOnceStopped) {
    PasswordAuthenticator authenticator(golden_table());
    std::atomic<int> answers{0};
    for (int i = 0; i < 20; ++i)
        authenticator.authenticate(user("erin", "x"), [&](const Result<Principal, Refusal>&) { ++answers; });
    authenticator.stop();
    EXPECT_EQ(answers, 20);
    auto code = ReasonCode::success;
    authenticator.authenticate(user("alice", "wonderland"), [&](const Result<Principal, Refusal>& answer) {
        code = answer.ok() ? ReasonCode::success : answer.error().code;
    });
    EXPECT_EQ(code, ReasonCode::server_busy);
    authenticator.stop();
}

// After a reload the last reference may be held by an answer that is just being given.
TEST(PasswordAuthenticator, MayBeDestroyedByItsOwnAnswer) {
    std::promise<void> done;
    auto authenticator = std::make_shared<PasswordAuthenticator>(golden_table());
    PasswordAuthenticator& alias = *authenticator;
    Stopper stopper;
    stopper.hold(alias);
    alias.authenticate(user("alice", "wonderland"), [kept = std::move(authenticator), &done](
                                                        const Result<Principal, Refusal>& answer) mutable {
        EXPECT_TRUE(answer.ok());
        kept.reset();
        done.set_value();
    });
    stopper.release.set_value();
    done.get_future().wait();
}

TEST(PasswordAuthenticator, ManyThreadsAtOnce) {
    constexpr int threads = 4, each = 50;
    std::atomic<int> right{0};
    {
        PasswordAuthenticator authenticator(golden_table());
        std::vector<std::thread> clients;
        for (int t = 0; t < threads; ++t) {
            clients.emplace_back([&] {
                for (int i = 0; i < each; ++i) {
                    const bool good = i % 2 == 0;
                    const auto answer = ask(authenticator, user("carol", good ? "old-style" : "x"));
                    if (answer.ok() == good) ++right;
                }
            });
        }
        for (auto& client : clients) client.join();
    }
    EXPECT_EQ(right, threads * each);
}

TEST(OpenAuthenticator, KnowsCertificatesAndAnonymousClientsOnly) {
    const auto authenticator = make_open_authenticator();
    EXPECT_FALSE(ask(*authenticator, Credentials{}).ok());
    EXPECT_FALSE(ask(*authenticator, user("alice", "wonderland")).ok());
    Credentials credentials;
    credentials.anonymous_allowed = true;
    ASSERT_TRUE(ask(*authenticator, credentials).ok());
    credentials = user("alice", "wonderland");
    credentials.anonymous_allowed = true;
    const auto believed = ask(*authenticator, credentials);
    ASSERT_TRUE(believed.ok());
    EXPECT_EQ(believed->user_name, "") << "an unchecked name must not become an identity";
    credentials.anonymous_allowed = false;
    credentials.certificate_name = "device-7";
    EXPECT_EQ(ask(*authenticator, credentials)->user_name, "device-7");
}

}  // namespace
}  // namespace sluice::auth
