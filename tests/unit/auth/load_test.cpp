#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "auth/auth.hpp"
#include "auth/settings.hpp"
#include "tests/unit/auth/golden_passwords.hpp"

namespace sluice::auth {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// A file that is gone after the test.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::string_view text) {
        path_ = std::filesystem::temp_directory_path() /
                ("sluice-auth-test-" + std::to_string(::getpid()) + "-" + std::to_string(counter_++));
        std::ofstream(path_) << text;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    std::string path() const { return path_.string(); }

  private:
    inline static int counter_ = 0;
    std::filesystem::path path_;
};

TEST(LoadPasswordFile, MakesAnAuthenticator) {
    const TemporaryFile file(test::golden_file);
    const auto authenticator = load_password_file(file.path());
    ASSERT_TRUE(authenticator.ok()) << authenticator.error();
    Credentials credentials;
    credentials.user_name = "alice";
    credentials.password = "wonderland";
    std::promise<bool> accepted;
    (*authenticator)->authenticate(credentials, [&](const Result<Principal, Refusal>& answer) {
        accepted.set_value(answer.ok());
    });
    EXPECT_TRUE(accepted.get_future().get());
}

TEST(LoadPasswordFile, ErrorsNameTheFile) {
    const TemporaryFile file("alice:plain\n");
    const auto wrong = load_password_file(file.path());
    ASSERT_FALSE(wrong.ok());
    EXPECT_THAT(wrong.error(), StartsWith(file.path() + ":1: "));
    const auto missing = load_password_file("/nonexistent/passwd");
    ASSERT_FALSE(missing.ok());
    EXPECT_THAT(missing.error(),
                AllOf(StartsWith("/nonexistent/passwd: cannot be read: "), HasSubstr("No such file")));
    const auto folder = load_password_file("/");
    ASSERT_FALSE(folder.ok());
    EXPECT_THAT(folder.error(), HasSubstr("cannot be read"));
}

TEST(LoadAclFile, MakesAnAuthorizer) {
    const TemporaryFile file("topic read public/#\n");
    const auto authorizer = load_acl_file(file.path());
    ASSERT_TRUE(authorizer.ok()) << authorizer.error();
    EXPECT_TRUE((*authorizer)->allows(Action::deliver, "", "c", "public/x"));
    EXPECT_FALSE((*authorizer)->allows(Action::publish, "", "c", "public/x"));
}

TEST(LoadAclFile, ErrorsNameTheFile) {
    const TemporaryFile file("topic read a\nnonsense\n");
    const auto wrong = load_acl_file(file.path());
    ASSERT_FALSE(wrong.ok());
    EXPECT_THAT(wrong.error(), StartsWith(file.path() + ":2: unknown word `nonsense`"));
    EXPECT_FALSE(load_acl_file("/nonexistent/acl").ok());
}

TEST(AuthSettings, RowsAssign) {
    AuthSettings settings;
    for (const SettingRow& row : auth_rows()) {
        EXPECT_TRUE(row.reloadable) << row.key;
        row.assign(&settings, SettingValue(std::string(row.key)));
    }
    EXPECT_EQ(settings.password_file, "password_file");
    EXPECT_EQ(settings.acl_file, "acl_file");
}

}  // namespace
}  // namespace sluice::auth
