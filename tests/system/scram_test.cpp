/// Enhanced authentication with the real process: a client in Python, and the password file that sluicectl
/// makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/child_process.hpp"
#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

class Scram : public testing::Test {
  protected:
    void SetUp() override {
        set_password("user", "pencil");
        set_password("comma,equals=", "p\xc3\xa4ss word");
        set_password("plain", "wonderland", {"--mosquitto"});
        ASSERT_TRUE(broker_.start(config())) << broker_.log();
    }
    static std::string config() {
        return "[broker]\ndata_dir = \"data\"\nthreads = 2\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
               "[auth]\npassword_file = \"passwd\"\n";
    }
    std::string passwd() const { return folder_.path() / "passwd"; }
    void set_password(const std::string& name, const std::string& password, const Words& more = {}) const {
        const std::string input = folder_.path() / "password.txt";
        std::ofstream(input) << password << "\n";
        std::string command = program("sluicectl") + " passwd --stdin " + passwd() + " '" + name + "'";
        for (const auto& word : more) command += " " + word;
        const auto made = run_command({"sh", "-c", command + " < " + input});
        ASSERT_EQ(made.exit_code, 0) << made.err;
    }
    Words client(Words words) const {
        Words all{"python3", source("tests/system/scram_client.py"), std::to_string(broker_.port())};
        all.insert(all.end(), words.begin(), words.end());
        return all;
    }
    /// What the client saw.
    std::string see(const Words& words) const {
        const auto seen = run_command(client(words));
        EXPECT_EQ(seen.exit_code, 0) << seen.err;
        return seen.out;
    }
    void reload() {
        broker_.signal(SIGHUP);
        ASSERT_TRUE(broker_.wait_for_log("were read again")) << broker_.log();
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Scram, lets_users_in_and_proves_itself) {
    EXPECT_EQ(see({"login", "user", "pencil"}), "connack 0 verified\n");
    EXPECT_EQ(see({"login", "comma,equals=", "p\xc3\xa4ss word"}), "connack 0 verified\n");
    EXPECT_TRUE(broker_.wait_for_log("user='user'")) << broker_.log();
    EXPECT_TRUE(broker_.wait_for_log("user='comma,equals='")) << broker_.log();
}

TEST_F(Scram, refuses_the_others_without_telling_who_is_there) {
    const std::string refused = "connack 135 invalid-proof\nclosed\n";
    EXPECT_EQ(see({"login", "user", "pen"}), refused);
    EXPECT_EQ(see({"login", "nobody", "pencil"}), refused);
    EXPECT_EQ(see({"login", "plain", "wonderland"}), refused);
    EXPECT_TRUE(broker_.wait_for_log("wrong password")) << broker_.log();
    EXPECT_TRUE(broker_.wait_for_log("unknown user")) << broker_.log();
    EXPECT_EQ(see({"login", "user", "pencil", "SCRAM-SHA-1"}), "connack 140\nclosed\n");
}

TEST_F(Scram, made_up_salts_survive_restarts_and_changes_of_the_file) {
    const std::string real = see({"salt", "user"}), made_up = see({"salt", "nobody"});
    EXPECT_THAT(made_up, testing::MatchesRegex("s=[A-Za-z0-9+/]{22}==,i=4096\n"));
    EXPECT_NE(real, made_up);
    EXPECT_EQ(see({"salt", "nobody"}), made_up);
    set_password("another", "x");
    ASSERT_TRUE(broker_.stop());
    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    EXPECT_EQ(see({"salt", "nobody"}), made_up);
    EXPECT_EQ(see({"salt", "user"}), real);
}

TEST_F(Scram, authenticates_again_while_it_publishes) {
    const std::string seen = see({"reauth", "user", "pencil", "pencil"});
    EXPECT_THAT(seen, testing::AnyOf("connack 0 verified\npuback 16\nauth 0 verified\npuback 16\n",
                                     "connack 0 verified\nauth 0 verified\npuback 16\npuback 16\n"));
}

TEST_F(Scram, is_disconnected_when_it_fails_to_authenticate_again) {
    EXPECT_THAT(see({"reauth", "user", "pencil", "pen"}),
                HasSubstr("disconnect 135 invalid-proof\nclosed\n"));
    EXPECT_TRUE(broker_.wait_for_log("failed to authenticate again: wrong password")) << broker_.log();
}

TEST_F(Scram, a_reload_counts_for_those_who_are_in) {
    const auto hold = [&](const char* expected) {
        ChildProcess one(client({"hold", "user", "pencil"}));
        EXPECT_EQ(one.read_line(std::chrono::seconds(20)), "connack 0 verified");
        set_password("user", "changed");
        reload();
        EXPECT_EQ(one.ask("go on"), expected);
    };
    hold("disconnect 135 invalid-proof");
    EXPECT_EQ(see({"login", "user", "changed"}), "connack 0 verified\n");
    EXPECT_EQ(see({"login", "user", "pencil"}), "connack 135 invalid-proof\nclosed\n");
}

TEST_F(Scram, a_file_without_entries_for_it_offers_nothing) {
    for (const char* name : {"user", "comma,equals="})
        ASSERT_EQ(run_command({program("sluicectl"), "passwd", passwd(), name, "--delete"}).exit_code, 0);
    reload();
    EXPECT_EQ(see({"login", "user", "pencil"}), "connack 140\nclosed\n");
}

TEST_F(Scram, sluicectl_asks_at_the_terminal) {
    const auto ask = [&](const Words& lines) {
        Words words{"python3", source("tests/system/scram_client.py"), "-", "ask"};
        words.insert(words.end(), lines.begin(), lines.end());
        words.insert(words.end(), {"--", program("sluicectl"), "passwd", passwd(), "asked"});
        return run_command(words);
    };
    const auto set = ask({"secret word", "secret word"});
    EXPECT_EQ(set.exit_code, 0) << set.out << set.err;
    EXPECT_THAT(set.out, HasSubstr("Password of asked: \nThe same again: \n"));
    EXPECT_THAT(set.out, testing::Not(HasSubstr("secret")));
    reload();
    EXPECT_EQ(see({"login", "asked", "secret word"}), "connack 0 verified\n");
    const auto differ = ask({"one", "two"});
    EXPECT_EQ(differ.exit_code, 1);
    EXPECT_THAT(differ.out, HasSubstr("the two passwords are not the same"));
}

}  // namespace
}  // namespace sluice::test
