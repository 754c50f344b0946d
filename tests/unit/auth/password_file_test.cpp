#include "auth/password_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/auth/golden_passwords.hpp"

namespace sluice::auth {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Verdict = PasswordTable::Verdict;

PasswordTable golden_table() {
    return parse_passwords(test::golden_file, "golden").value();
}

std::string error_of(std::string_view text) {
    const auto table = parse_passwords(text, "/etc/passwd.mqtt");
    return table.ok() ? "no error" : table.error();
}

const DecoySecret secret;

TEST(PasswordFile, AcceptsWhatMosquittoPasswdWrote) {
    const PasswordTable table = golden_table();
    EXPECT_EQ(table.size(), std::size(test::golden_users));
    for (const auto& user : test::golden_users) {
        EXPECT_EQ(table.check(user.name, user.password, secret), Verdict::accepted) << user.name;
        EXPECT_EQ(table.check(user.name, std::string(user.password) + "x", secret), Verdict::wrong_password)
            << user.name;
        EXPECT_EQ(table.check(user.name, "wonderlanD", secret), Verdict::wrong_password) << user.name;
    }
    EXPECT_EQ(table.check("mallory", "wonderland", secret), Verdict::unknown_user);
    EXPECT_EQ(table.check("", "", secret), Verdict::unknown_user);
    EXPECT_EQ(table.check("Alice", "wonderland", secret), Verdict::unknown_user);
}

TEST(PasswordFile, PasswordsDoNotEndAtAZeroByte) {
    const PasswordTable table = golden_table();
    EXPECT_EQ(table.check("alice", std::string_view("wonderland\0x", 12), secret), Verdict::wrong_password);
}

TEST(PasswordFile, SkipsCommentsBlankLinesAndCarriageReturns) {
    const std::string first_line(test::golden_file.substr(0, test::golden_file.find('\n')));
    const auto table = parse_passwords("# users\r\n\r\n   \n" + first_line + "\r\n# end", "f");
    ASSERT_TRUE(table.ok()) << table.error();
    EXPECT_EQ(table->size(), 1U);
    EXPECT_EQ(table->check("alice", "wonderland", secret), Verdict::accepted);
}

TEST(PasswordFile, AnEmptyFileKnowsNobody) {
    const auto table = parse_passwords("", "f");
    ASSERT_TRUE(table.ok());
    EXPECT_EQ(table->check("alice", "wonderland", secret), Verdict::unknown_user);
}

TEST(PasswordFile, ErrorsNameFileLineProblemAndExpectation) {
    EXPECT_THAT(error_of("# one\n\nalice\n"),
                AllOf(StartsWith("/etc/passwd.mqtt:3: "), HasSubstr("expected")));
    EXPECT_THAT(error_of(":$7$1$AAAA$AAAA"),
                AllOf(StartsWith("/etc/passwd.mqtt:1: "), HasSubstr("name is empty")));
    EXPECT_THAT(error_of("a:"), HasSubstr("is not hashed"));
    EXPECT_THAT(error_of("a:plain"), HasSubstr("mosquitto_passwd"));
    EXPECT_THAT(error_of("a:$5$AAAA$AAAA"), HasSubstr("unknown kind of hash; expected $7$"));
    EXPECT_THAT(error_of("a:$argon2id$v=19$m=47104,t=1,p=1$AAAA$AAAA"), HasSubstr("unknown kind of hash"));
    for (const char* number : {"", "0", "-1", "x", "1x", "10000001", "99999999999"})
        EXPECT_THAT(error_of(std::string("a:$7$") + number + "$AAAA$AAAA"), HasSubstr("iterations"))
            << number;
    EXPECT_THAT(error_of("a:$7$101$$AAAA"), HasSubstr("salt"));
    EXPECT_THAT(error_of("a:$6$!!!!$AAAA"), HasSubstr("salt"));
    EXPECT_THAT(error_of("a:$6$AAAA"), HasSubstr("hash is damaged"));
    EXPECT_THAT(error_of("a:$6$AAAA$AAAA"), HasSubstr("64 bytes"));
    EXPECT_THAT(error_of(std::string(70000, 'a') + ":$6$AAAA$AAAA"), HasSubstr("too long"));
    EXPECT_THAT(error_of(std::string(test::golden_file) + std::string(test::golden_file)),
                AllOf(StartsWith("/etc/passwd.mqtt:6: "), HasSubstr("`alice` is there twice")));
}

// Every cut and every changed byte of a good line either parses or is an error that keeps the secret.
TEST(PasswordFile, ErrorsNeverPrintAHash) {
    const std::string line(test::golden_file.substr(0, test::golden_file.find('\n')));
    const std::string hash = line.substr(line.rfind('$') + 1), salt = line.substr(13, 16);
    ASSERT_EQ(line.substr(12, 1), "$");
    for (std::size_t at = 0; at < line.size(); ++at) {
        std::string damaged = line;
        damaged[at] = ' ';
        for (const std::string& text : {line.substr(0, at), damaged})
            EXPECT_THAT(error_of(text),
                        AllOf(Not(HasSubstr(hash.substr(0, 8))), Not(HasSubstr(salt.substr(0, 8)))));
    }
}

}  // namespace
}  // namespace sluice::auth
