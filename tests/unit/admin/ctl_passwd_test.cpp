#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/ctl.hpp"
#include "auth/password_file.hpp"
#include "tests/support/sluiced_process.hpp"

namespace sluice::app {
namespace {

using auth::PasswordTable;
using testing::HasSubstr;
using testing::Not;
using Verdict = PasswordTable::Verdict;

class CtlPasswd : public testing::Test {
  protected:
    int run(std::vector<std::string> arguments, const std::string& input = "") {
        std::vector<const char*> all{"sluicectl", "passwd", path_.c_str()};
        for (const auto& one : arguments) all.push_back(one.c_str());
        std::istringstream in(input);
        out_.str("");
        err_.str("");
        return answer_ctl(static_cast<int>(all.size()), all.data(), in, out_, err_);
    }
    std::string text() const {
        std::ifstream in(path_);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    Verdict check(const std::string& name, const std::string& password) const {
        const auto table = auth::parse_passwords(text(), path_);
        EXPECT_TRUE(table.ok()) << table.error();
        return table->check(name, password, {});
    }

    sluice::test::TempFolder folder_;
    std::string path_ = folder_.path() / "passwd";
    std::ostringstream out_, err_;
};

TEST_F(CtlPasswd, SetsChangesAndRemoves) {
    ASSERT_EQ(run({"one", "--stdin"}, "first\nignored\n"), 0) << err_.str();
    EXPECT_THAT(text(), testing::StartsWith("one:SCRAM-SHA-256$4096:"));
    EXPECT_THAT(out_.str(), HasSubstr("user `one` is set"));
    ASSERT_EQ(run({"two", "--stdin", "--mosquitto"}, "second"), 0) << err_.str();
    EXPECT_THAT(text(), HasSubstr("\ntwo:$7$101$"));
    ASSERT_EQ(run({"three", "--stdin", "--scram", "--iterations", "5000"}, "third\r\n"), 0) << err_.str();
    EXPECT_THAT(text(), HasSubstr("\nthree:SCRAM-SHA-256$5000:"));
    EXPECT_EQ(check("one", "first"), Verdict::accepted);
    EXPECT_EQ(check("two", "second"), Verdict::accepted);
    EXPECT_EQ(check("three", "third"), Verdict::accepted);
    ASSERT_EQ(run({"one", "--stdin"}, "changed\n"), 0) << err_.str();
    EXPECT_EQ(check("one", "first"), Verdict::wrong_password);
    EXPECT_EQ(check("one", "changed"), Verdict::accepted);
    ASSERT_EQ(run({"two", "--delete"}), 0) << err_.str();
    EXPECT_EQ(check("two", "second"), Verdict::unknown_user);
    EXPECT_THAT(out_.str(), HasSubstr("user `two` is removed"));
}

TEST_F(CtlPasswd, SaysWhatIsWrongAndLeavesTheFile) {
    const auto refused = [&](std::vector<std::string> arguments, const std::string& input) {
        EXPECT_EQ(run(std::move(arguments), input), 1);
        EXPECT_EQ(out_.str(), "");
        return err_.str();
    };
    EXPECT_THAT(refused({"a:b", "--stdin"}, "x"), HasSubstr("sluicectl: the user name does not fit"));
    EXPECT_THAT(refused({"a", "--stdin"}, ""), HasSubstr("no password came"));
    EXPECT_THAT(refused({"a", "--stdin"}, "\n"), HasSubstr("the password cannot be used"));
    EXPECT_THAT(refused({"a", "--delete"}, ""), HasSubstr("cannot be read: No such file"));
    EXPECT_FALSE(std::filesystem::exists(path_));
    std::ofstream(path_) << "plain:text\n";
    const std::string damaged = refused({"a", "--stdin"}, "my secret");
    EXPECT_THAT(damaged, HasSubstr("passwd:1: the password is not hashed"));
    EXPECT_THAT(damaged, Not(HasSubstr("my secret")));
    EXPECT_EQ(text(), "plain:text\n");
    path_ = folder_.path();
    EXPECT_THAT(refused({"a", "--stdin"}, "x"), HasSubstr("cannot be read: Is a directory"));
    path_ = folder_.path() / "missing" / "passwd";
    EXPECT_THAT(refused({"a", "--stdin"}, "x"), HasSubstr("cannot be written: No such file"));
}

TEST_F(CtlPasswd, Usage) {
    EXPECT_EQ(run({}), 2);
    EXPECT_EQ(run({"a", "--stdin", "--mosquitto", "--scram"}, "x"), 2);
    EXPECT_EQ(run({"a", "--delete", "--mosquitto"}), 2);
    for (const char* number : {"4095", "0", "-1", "x", "10000001"})
        EXPECT_EQ(run({"a", "--stdin", "--iterations", number}, "x"), 2) << number;
    EXPECT_FALSE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace sluice::app
