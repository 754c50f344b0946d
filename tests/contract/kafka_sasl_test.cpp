/// SASL of the kafka connector.
#include "tests/contract/kafka_front.hpp"

namespace sluice::bridge::test {
namespace {

std::string base64url(const std::string& text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const unsigned char c : text) {
        bits = (bits << 8) | c;
        for (count += 8; count >= 6; count -= 6) out += digits[(bits >> (count - 6)) & 63];
    }
    if (count > 0) out += digits[(bits << (6 - count)) & 63];
    return out;
}

/// An unsigned token. `mark` makes it another one.
std::string make_token(seconds life, const std::string& sub = "gateway", const std::string& mark = "a") {
    const auto exp =
        std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()) + life;
    const nlohmann::json claims{{"sub", sub}, {"exp", exp.count()}, {"jti", mark}};
    return base64url(R"({"alg":"none"})") + "." + base64url(claims.dump()) + ".";
}

class KafkaSasl : public KafkaSecurity {
  protected:
    std::string write_token(const std::string& token) {
        secrets_.push_back(token);
        write_file(folder_.file("token"), token + "\n");
        return token;
    }
    /// The front sees this token when it makes the client log in anew.
    bool wait_token(const std::string& token) {
        const auto deadline = std::chrono::steady_clock::now() + seconds(40);
        while (std::chrono::steady_clock::now() < deadline) {
            front_->ask("drop");
            if (report()["token"] == token) return true;
            feeder_.wait([] { return false; }, seconds(1));  // the time of a look, and of a reconnect
        }
        return false;
    }
};

TEST_F(KafkaSasl, each_mechanism_with_a_password) {
    const std::pair<std::int64_t, const char*> all[] = {
        {plain, "PLAIN"}, {scram_sha_256, "SCRAM-SHA-256"}, {scram_sha_512, "SCRAM-SHA-512"}};
    start_sasl_front({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"});
    for (const auto& [mechanism, name] : all) {
        log_in(mechanism);
        start();
        ASSERT_TRUE(feeder_.wait([&] { return feeder_.epoch_ != 0; }, seconds(20))) << name << last_down();
        EXPECT_EQ(report()["mechanism"], name);
        connector_->stop(milliseconds(100));
        feeder_.on_down("next");
    }
    log_in(scram_sha_512);
    expect_delivery();
}

TEST_F(KafkaSasl, a_wrong_password_is_told_without_it) {
    start_sasl_front({"PLAIN"});
    log_in(plain, "hunter2-wrong");
    expect_down("authentication failed: ");
    EXPECT_NE(last_down().find("Invalid username or password"), std::string::npos) << last_down();
    EXPECT_GT(lines_said(), 0U);
}

TEST_F(KafkaSasl, a_wrong_scram_password_is_told_without_it) {
    start_sasl_front({"SCRAM-SHA-512"});
    log_in(scram_sha_512, "hunter2-wrong");
    expect_down("authentication failed: ");
}

TEST_F(KafkaSasl, a_mechanism_that_the_cluster_does_not_have_is_told) {
    start_sasl_front({"SCRAM-SHA-512"});
    log_in(plain);
    expect_down("SCRAM-SHA-512");
}

TEST_F(KafkaSasl, a_token_from_a_file_is_replaced_when_the_file_is) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_file", folder_.file("token"));
    const auto first = write_token(make_token(seconds(3600)));
    expect_delivery();
    EXPECT_EQ(report()["token"], first);
    EXPECT_TRUE(wait_token(write_token(make_token(seconds(3600), "gateway", "b"))));
}

/// Without a token in time the bridge would be down for a while, and come back with the next one.
TEST_F(KafkaSasl, a_token_from_a_command_is_renewed_before_it_expires) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_command", Strings{"/bin/cat", folder_.file("token")});
    write_token(make_token(seconds(5)));
    expect_delivery();
    EXPECT_TRUE(wait_token(write_token(make_token(seconds(3600), "gateway", "b"))));
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
}

TEST_F(KafkaSasl, a_token_that_is_not_accepted_is_told_without_it) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_file", folder_.file("token"));
    write_token(make_token(seconds(3600), "somebody"));
    expect_down("authentication failed: ");
}

TEST_F(KafkaSasl, what_is_wrong_with_the_source_of_tokens_is_told) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_file", folder_.file("token"));
    const auto wait_reason = [&](const std::string& part) {
        return feeder_.wait(
            [&] { return !feeder_.downs_.empty() && feeder_.downs_.back().find(part) != std::string::npos; });
    };
    start();
    EXPECT_TRUE(wait_reason("token_file " + folder_.file("token") + ": No such file")) << last_down();
    write_token(make_token(seconds(-100)));
    EXPECT_TRUE(wait_reason(": the token has expired 1")) << last_down();
    write_token("hunter2 is no token");
    EXPECT_TRUE(wait_reason(": that is no token")) << last_down();
    write_file(folder_.file("token"), "\n");
    EXPECT_TRUE(wait_reason(": there is no token")) << last_down();
    write_token(make_token(seconds(3600)));
    EXPECT_TRUE(feeder_.wait_up()) << last_down();
    // From here on it goes on with the token that it has, and says so.
    write_file(folder_.file("token"), "\n");
    EXPECT_TRUE(feeder_.wait([&] {
        return !feeder_.stalls_.empty() &&
               feeder_.stalls_.back().find("there is no token") != std::string::npos;
    }));
    write_token(make_token(seconds(3600), "gateway", "b"));
    EXPECT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); }));
}

TEST_F(KafkaSasl, what_is_wrong_with_a_command_is_told) {
    const std::pair<Strings, const char*> all[] = {
        {{"/no/such/program"}, "token_command /no/such/program: the command cannot be run: No such file"},
        {{"/bin/sh", "-c", "echo hunter2; exit 3"}, "token_command /bin/sh: the command ended with status 3"},
        {{"/bin/sh", "-c", "kill -TERM $$"}, "the command was ended by signal 15"},
        {{"/bin/sh", "-c", "yes hunter2 | head -c 100000"}, "the command prints more than 64 KiB"}};
    for (const auto& [command, expected] : all) {
        settings_.bridge("sasl", oauthbearer);
        settings_.bridge("token_command", command);
        const auto before = feeder_.read([&] { return feeder_.downs_.size(); });
        start();
        ASSERT_TRUE(feeder_.wait_down(before));
        EXPECT_NE(last_down().find(expected), std::string::npos) << last_down();
        connector_->stop(milliseconds(100));
    }
}

TEST_F(KafkaSasl, stop_does_not_wait_for_a_command_and_leaves_nothing_of_it) {
    settings_.bridge("sasl", oauthbearer);
    // The second process is of the command's group.
    settings_.bridge("token_command",
                     Strings{"/bin/sh", "-c", "echo $$ > " + folder_.file("pid") + "; sleep 600"});
    start();
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    int pid = 0;
    while (pid == 0 && std::chrono::steady_clock::now() < deadline) {
        std::ifstream(folder_.file("pid")) >> pid;
        feeder_.wait([] { return false; }, milliseconds(10));
    }
    ASSERT_GT(pid, 0);
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(100));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(2000));
    const auto gone = [&] { return ::kill(-pid, 0) != 0; };
    while (!gone() && std::chrono::steady_clock::now() < deadline)
        feeder_.wait([] { return false; }, milliseconds(10));
    EXPECT_TRUE(gone());
}

}  // namespace
}  // namespace sluice::bridge::test
