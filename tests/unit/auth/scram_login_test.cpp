// SCRAM as the broker offers it: entries of the password file, made-up salts, the exchange of an
// authenticator.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <thread>

#include "auth/password_authenticator.hpp"
#include "auth/password_edit.hpp"
#include "tests/support/scram_client.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/unit/auth/golden_passwords.hpp"

namespace sluice::auth {
namespace {

using sluice::test::ScramClient;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;
using Verdict = PasswordTable::Verdict;

// The password is "pencil".
constexpr std::string_view pencil_line =
    "user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

const DecoySecret secret;

PasswordTable parse(std::string_view text) {
    auto table = parse_passwords(text, "f");
    EXPECT_TRUE(table.ok()) << table.error();
    return std::move(table).value();
}
PasswordTable mixed_table() {
    return parse(std::string(pencil_line) + "\n" + std::string(test::golden_file));
}
std::string error_of(std::string_view text) {
    const auto table = parse_passwords(text, "passwd");
    return table.ok() ? "no error" : table.error();
}

TEST(ScramEntries, ServeUserNameAndPassword) {
    const PasswordTable table = mixed_table();
    EXPECT_TRUE(table.has_scram());
    EXPECT_EQ(table.check("user", "pencil", secret), Verdict::accepted);
    EXPECT_EQ(table.check("user", "pencils", secret), Verdict::wrong_password);
    EXPECT_EQ(table.check("alice", "wonderland", secret), Verdict::accepted);
    EXPECT_EQ(table.check("nobody", "pencil", secret), Verdict::unknown_user);
    EXPECT_FALSE(parse(test::golden_file).has_scram());
}

TEST(ScramEntries, ErrorsNameWhatIsWrongAndKeepTheSecret) {
    const std::string line(pencil_line);
    const auto with = [&](const std::string& old, const std::string& fresh) {
        return std::string(line).replace(line.find(old), old.size(), fresh);
    };
    for (const char* number : {"", "0", "4095", "-4096", "x", "4096x", "10000001", "99999999999"})
        EXPECT_THAT(error_of(with("4096", number)), HasSubstr("iterations is wrong; expected 4096"))
            << number;
    EXPECT_THAT(error_of(with("W22ZaJ0SNY7soEsUEjb6gQ==", "")), HasSubstr("the salt is damaged"));
    EXPECT_THAT(error_of(with("W22Z", "W2*Z")), HasSubstr("the salt is damaged"));
    EXPECT_THAT(error_of(with("WG5d", "WG5")), HasSubstr("the stored key is damaged"));
    EXPECT_THAT(error_of(with("wfPL", "")), HasSubstr("the server key is damaged"));
    EXPECT_THAT(error_of(line + "AAAA"), HasSubstr("the server key is damaged"));
    EXPECT_THAT(error_of(with("SCRAM-SHA-256", "SCRAM-SHA-1")), HasSubstr("sluicectl passwd"));
    EXPECT_THAT(error_of(with("user", "us\x07r")), HasSubstr("cannot be used with SCRAM"));
    for (std::size_t at = 0; at < line.size(); ++at) {
        std::string damaged = line;
        damaged[at] = ' ';
        for (const std::string& text : {line.substr(0, at), damaged}) {
            EXPECT_THAT(error_of(text), Not(HasSubstr("WG5d8oPm")));
            EXPECT_THAT(error_of(text), Not(HasSubstr("wfPLwcE6")));
        }
    }
}

TEST(MadeUpSalts, LookLikeThoseOfTheFileAndStay) {
    const PasswordTable table = mixed_table();
    EXPECT_TRUE(table.scram_credential("user", secret).known);
    std::set<ByteBuffer> salts;
    for (int i = 0; i < 100; ++i) {
        const std::string name = fmt::format("device-{}", i);
        const auto made_up = table.scram_credential(name, secret);
        EXPECT_FALSE(made_up.known);
        EXPECT_EQ(made_up.keys.iterations, 4096U);
        EXPECT_EQ(made_up.keys.salt.size(), 16U);
        EXPECT_EQ(made_up.keys.salt, table.scram_credential(name, secret).keys.salt);
        salts.insert(made_up.keys.salt);
    }
    EXPECT_EQ(salts.size(), 100U);
    // Somebody with a password, but none that SCRAM can use.
    const auto alice = table.scram_credential("alice", secret);
    EXPECT_FALSE(alice.known);
    // A new user, and other users' passwords, change nothing for a name that is not there.
    const auto entry = make_scram_entry("new", "secret").value();
    EXPECT_EQ(parse(std::string(pencil_line) + "\n" + entry).scram_credential("alice", secret).keys.salt,
              alice.keys.salt);
    EXPECT_NE(table.scram_credential("alice", DecoySecret()).keys.salt, alice.keys.salt);
}

TEST(MadeUpSalts, AreOfAllKindsThatTheFileHas) {
    PasswordTable table;
    for (const auto& [name, iterations, bytes] :
         {std::tuple("a", 5000U, 16U), std::tuple("b", 9000U, 70U), std::tuple("c", 9000U, 70U)})
        ASSERT_TRUE(table.add(name, *make_scram_keys("x", ByteBuffer(bytes), iterations)));
    std::set<std::pair<std::uint32_t, std::size_t>> kinds;
    for (int i = 0; i < 200; ++i) {
        const auto keys = table.scram_credential(fmt::format("n{}", i), secret).keys;
        kinds.emplace(keys.iterations, keys.salt.size());
    }
    EXPECT_EQ(kinds, (std::set<std::pair<std::uint32_t, std::size_t>>{{5000, 16}, {9000, 70}}));
}

/// What a client is shown of each name.
std::vector<std::pair<std::uint32_t, ByteBuffer>> shown(const PasswordTable& table, const DecoySecret& of) {
    std::vector<std::pair<std::uint32_t, ByteBuffer>> out;
    for (int i = 0; i < 300; ++i) {
        auto keys = table.scram_credential(fmt::format("n{}", i), of).keys;
        out.emplace_back(keys.iterations, std::move(keys.salt));
    }
    return out;
}

// Otherwise whoever asks before and after a reload sees which names stay as they are: those that exist.
TEST(MadeUpSalts, OutlastAChangeOfTheKinds) {
    PasswordTable few, more;
    const auto add = [](PasswordTable& table, std::uint32_t iterations, std::size_t salt_bytes) {
        ASSERT_TRUE(
            table.add(std::to_string(iterations), *make_scram_keys("x", ByteBuffer(salt_bytes), iterations)));
    };
    for (auto* table : {&few, &more}) {
        add(*table, 5000, 16);
        add(*table, 9000, 16);
    }
    add(more, 7000, 16);  // stands between the others
    const auto before = shown(few, secret), after = shown(more, secret);
    int changed = 0;
    for (std::size_t i = 0; i < before.size(); ++i) {
        if (after[i] == before[i]) continue;
        ++changed;
        EXPECT_EQ(after[i].first, 7000U) << "only the new kind draws names away";
        EXPECT_NE(after[i].second, before[i].second) << "as a new password, which has a new salt";
    }
    EXPECT_GT(changed, 50);
    EXPECT_LT(changed, 150);
}

TEST(MadeUpSalts, OutlastARestartWithTheSecretInItsFile) {
    const sluice::test::TempFolder folder;
    DecoySecret first, second;
    ASSERT_TRUE(first.keep_in(folder.path() / "secret").ok());
    const auto before = shown(mixed_table(), first);
    EXPECT_NE(shown(mixed_table(), second), before);
    ASSERT_TRUE(second.keep_in(folder.path() / "secret").ok());
    EXPECT_EQ(shown(mixed_table(), second), before);
}

// The hash that an unknown user costs: another one only when there is reason to.
TEST(DecoySecret, PicksTheSameAsLongAsItIsThere) {
    const std::vector<std::string> three{"7 101", "scram 4096", "scram 9000"}, two{"7 101", "scram 9000"};
    int gone = 0;
    for (int i = 0; i < 300; ++i) {
        const std::string name = std::to_string(i);
        const auto pick = [&](const std::vector<std::string>& of) {
            return of[secret.pick("x", name, of.size(), [&](std::size_t at) { return of[at]; })];
        };
        EXPECT_EQ(pick(three), pick(three));
        if (pick(three) == "scram 4096") {
            ++gone;
        } else {
            EXPECT_EQ(pick(two), pick(three));
        }
    }
    EXPECT_GT(gone, 50);
    EXPECT_LT(gone, 150);
}

TEST(DecoySecret, OneThatCannotBeReadIsNotReplaced) {
    const sluice::test::TempFolder folder;
    const std::string path = folder.path() / "secret";
    std::filesystem::create_symlink("elsewhere", path);
    DecoySecret one;
    const auto kept = one.keep_in(path);
    ASSERT_FALSE(kept.ok());
    EXPECT_THAT(kept.error(), HasSubstr("secret: cannot be read: "));
    EXPECT_TRUE(std::filesystem::is_symlink(path));
}

TEST(DecoySecret, IsTheSameAfterARestart) {
    const sluice::test::TempFolder folder;
    const std::string path = folder.path() / "secret";
    DecoySecret first, second, third;
    ASSERT_TRUE(first.keep_in(path).ok());
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_NE(first.derive("x", "name"), second.derive("x", "name"));
    ASSERT_TRUE(second.keep_in(path).ok());
    EXPECT_EQ(first.derive("x", "name"), second.derive("x", "name"));
    EXPECT_NE(first.derive("x", "name"), first.derive("y", "name"));
    std::filesystem::resize_file(path, 5);  // damaged: a new one, and the broker starts all the same
    ASSERT_TRUE(third.keep_in(path).ok());
    DecoySecret fourth;
    ASSERT_TRUE(fourth.keep_in(path).ok());
    EXPECT_EQ(third.derive("x", "name"), fourth.derive("x", "name"));
    const auto failed = fourth.keep_in(folder.path() / "missing" / "secret");
    ASSERT_FALSE(failed.ok());
    EXPECT_THAT(failed.error(), HasSubstr("missing/secret: cannot be written: No such file"));
    EXPECT_EQ(third.derive("x", "name"), fourth.derive("x", "name"));
}

ExchangeStep take_step(AuthExchange& exchange, std::optional<std::string> message) {
    std::promise<ExchangeStep> promise;
    exchange.step(message ? std::optional(as_bytes(*message)) : std::nullopt,
                  [&](ExchangeStep step) { promise.set_value(std::move(step)); });
    return promise.get_future().get();
}
std::string text_of(const ExchangeStep& step) {
    return std::string(as_text(std::get<Challenge>(step).data.value()));
}
std::string reason_of(const ExchangeStep& step) {
    const auto* refusal = std::get_if<Refusal>(&step);
    return refusal ? refusal->reason : "not refused";
}

TEST(ScramExchange, ProvesBothSides) {
    PasswordAuthenticator authenticator(mixed_table());
    const auto exchange = authenticator.begin_exchange("SCRAM-SHA-256");
    ASSERT_TRUE(exchange);
    ScramClient client("user", "pencil");
    const std::string challenge = text_of(take_step(*exchange, client.first()));
    const auto last = take_step(*exchange, client.final_for(challenge));
    ASSERT_TRUE(std::holds_alternative<Admitted>(last)) << reason_of(last);
    EXPECT_EQ(std::get<Admitted>(last).principal.user_name, "user");
    EXPECT_EQ(as_text(std::get<Admitted>(last).data), client.server_final());
    EXPECT_EQ(reason_of(take_step(*exchange, "more")), "other-error");
    EXPECT_EQ(authenticator.hashes(), 0U) << "nothing to wait for";
}

TEST(ScramExchange, NoncesAreFresh) {
    PasswordAuthenticator authenticator(mixed_table());
    std::set<std::string> challenges;
    for (int i = 0; i < 50; ++i)
        challenges.insert(
            text_of(take_step(*authenticator.begin_exchange("SCRAM-SHA-256"), "n,,n=user,r=x")));
    EXPECT_EQ(challenges.size(), 50U);
    for (const auto& one : challenges)
        EXPECT_THAT(one, MatchesRegex("r=x[A-Za-z0-9+/]{24},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
}

TEST(ScramExchange, RefusesTheOthers) {
    PasswordAuthenticator authenticator(mixed_table());
    for (const auto& [name, password] :
         {std::pair("user", "wrong"), std::pair("nobody", "pencil"), std::pair("alice", "wonderland")}) {
        const auto exchange = authenticator.begin_exchange("SCRAM-SHA-256");
        ScramClient client(name, password);
        const std::string challenge = text_of(take_step(*exchange, client.first()));
        const auto last = take_step(*exchange, client.final_for(challenge));
        ASSERT_TRUE(std::holds_alternative<Refusal>(last)) << name;
        EXPECT_EQ(std::get<Refusal>(last).code, wire::ReasonCode::not_authorized);
        EXPECT_EQ(reason_of(last), "invalid-proof");
    }
}

TEST(ScramExchange, AsksAClientThatSaidNothing) {
    PasswordAuthenticator authenticator(mixed_table());
    const auto exchange = authenticator.begin_exchange("SCRAM-SHA-256");
    const auto asked = take_step(*exchange, std::nullopt);
    ASSERT_TRUE(std::holds_alternative<Challenge>(asked));
    EXPECT_FALSE(std::get<Challenge>(asked).data);
    EXPECT_THAT(text_of(take_step(*exchange, "n,,n=user,r=x")), StartsWith("r=x"));
    EXPECT_EQ(reason_of(take_step(*exchange, std::nullopt)), "invalid-encoding");
}

TEST(ScramExchange, IsOfferedOnlyWhenSomebodyCouldUseIt) {
    PasswordAuthenticator without(parse(test::golden_file)), with(mixed_table());
    EXPECT_FALSE(without.begin_exchange("SCRAM-SHA-256"));
    EXPECT_FALSE(with.begin_exchange("SCRAM-SHA-1"));
    EXPECT_FALSE(with.begin_exchange("SCRAM-SHA-256-PLUS"));
    EXPECT_FALSE(with.begin_exchange("scram-sha-256"));
    EXPECT_FALSE(with.begin_exchange(""));
    EXPECT_FALSE(make_open_authenticator()->begin_exchange("SCRAM-SHA-256"));
}

TEST(PasswordEdit, MakesEntriesThatTheBrokerAccepts) {
    const auto scram = make_scram_entry("a b,c=d", "p\xc3\xa4ss word", 5000);
    ASSERT_TRUE(scram.ok()) << scram.error();
    EXPECT_THAT(*scram, StartsWith("a b,c=d:SCRAM-SHA-256$5000:"));
    const auto mosquitto = make_mosquitto_entry("m", "\x01");
    ASSERT_TRUE(mosquitto.ok()) << mosquitto.error();
    EXPECT_THAT(*mosquitto, StartsWith("m:$7$101$"));
    const PasswordTable table = parse(*scram + "\n" + *mosquitto);
    EXPECT_EQ(table.check("a b,c=d", "p\xc3\xa4ss word", secret), Verdict::accepted);
    EXPECT_EQ(table.check("m", "\x01", secret), Verdict::accepted);
    EXPECT_NE(*scram, make_scram_entry("a b,c=d", "p\xc3\xa4ss word", 5000).value()) << "a fresh salt";
}

TEST(PasswordEdit, RefusesWhatCannotWork) {
    for (const char* name : {"", "a:b", " a", "a ", "#a", "a\nb", "a\r"}) {
        EXPECT_FALSE(make_scram_entry(name, "x").ok()) << name;
        EXPECT_FALSE(make_mosquitto_entry(name, "x").ok()) << name;
    }
    EXPECT_THAT(make_scram_entry("a\xc2\xa0z", "x").error(), HasSubstr("SASLprep"));
    for (const char* password : {"", "\x01", "\xff", "\xc2\xad"})
        EXPECT_THAT(make_scram_entry("a", password).error(), HasSubstr("the password cannot be used"))
            << password;
    EXPECT_THAT(make_scram_entry("a", "x", 4095).error(), HasSubstr("expected 4096 to 10000000"));
    EXPECT_FALSE(make_mosquitto_entry("a", "").ok());
}

TEST(PasswordEdit, ChangesOneLineAndKeepsTheRest) {
    const std::string first = make_scram_entry("a", "1").value(), again = make_scram_entry("a", "2").value();
    const std::string other = make_mosquitto_entry("b", "x").value();
    const std::string text = "# users\n\n  a : " + first.substr(2) + " \n#a:off\n" + other;
    EXPECT_EQ(with_entry(text, "f", again).value(), "# users\n\n" + again + "\n#a:off\n" + other + "\n");
    EXPECT_EQ(with_entry("", "f", again).value(), again + "\n");
    EXPECT_EQ(with_entry(other, "f", again).value(), other + "\n" + again + "\n");
    EXPECT_EQ(without_entry(text, "f", "a").value(), "# users\n\n#a:off\n" + other + "\n");
    EXPECT_EQ(without_entry(text, "f", "c").error(), "f: there is no user `c`");
    EXPECT_THAT(with_entry("plain text", "f", again).error(), StartsWith("f:1: "));
    EXPECT_THAT(without_entry("plain text", "f", "a").error(), StartsWith("f:1: "));
}

// Each reads, adds its own line and writes: unless they wait for each other, lines are lost.
TEST(PasswordEdit, TwoEditorsAtOnceLoseNothing) {
    constexpr int editors = 4, each = 15;
    const sluice::test::TempFolder folder;
    const std::string path = folder.path() / "passwd", line = std::string(pencil_line).substr(4);
    std::vector<std::thread> threads;
    for (int e = 0; e < editors; ++e) {
        threads.emplace_back([&, e] {
            for (int i = 0; i < each; ++i) {
                const auto saved = edit_password_file(path, [&](std::string_view text) {
                    return with_entry(text, path, fmt::format("u{}-{}{}", e, i, line));
                });
                EXPECT_TRUE(saved.ok()) << saved.error();
            }
        });
    }
    for (auto& thread : threads) thread.join();
    std::ifstream in(path);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), editors * each);
    EXPECT_EQ(parse(text).size(), std::size_t{editors * each});
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "no lock is left";
}

TEST(PasswordEdit, AHeldLockIsWaitedForAndThenNamed) {
    const sluice::test::TempFolder folder;
    const std::string path = folder.path() / "passwd";
    const int held = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(::flock(held, LOCK_EX), 0);
    const PasswordEdit to_one = [](std::string_view) { return std::string("one\n"); };
    const auto locked_out = edit_password_file(path, to_one, std::chrono::milliseconds(50));
    ASSERT_FALSE(locked_out.ok());
    EXPECT_THAT(locked_out.error(), HasSubstr("passwd: another program is changing it"));
    EXPECT_FALSE(std::filesystem::exists(path));
    ::close(held);
    EXPECT_TRUE(edit_password_file(path, to_one).ok());
    const auto refused =
        edit_password_file(path, [](std::string_view text) { return Err{"not " + std::string(text)}; });
    EXPECT_EQ(refused.error(), "not one\n");
}

TEST(PasswordEdit, SavesTheWholeFileAndKeepsItsMode) {
    const sluice::test::TempFolder folder;
    const std::string path = folder.path() / "passwd", link = folder.path() / "link";
    const auto mode = [](const std::string& file) {
        struct stat status {};
        EXPECT_EQ(::lstat(file.c_str(), &status), 0);
        return status.st_mode & 0777U;
    };
    ASSERT_TRUE(save_password_file(path, "one\n").ok());
    EXPECT_EQ(mode(path), 0640U);
    std::filesystem::permissions(path, std::filesystem::perms(0604));
    std::filesystem::create_symlink("passwd", link);
    ASSERT_TRUE(save_password_file(link, "two\n").ok());
    EXPECT_EQ(mode(path), 0604U);
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    std::ifstream in(path);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "two\n");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2) << "nothing is left";
    const auto failed = save_password_file(folder.path() / "missing" / "passwd", "x");
    ASSERT_FALSE(failed.ok());
    EXPECT_THAT(failed.error(), HasSubstr("missing/passwd: cannot be written: No such file"));
}

}  // namespace
}  // namespace sluice::auth
