#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/config_sections.hpp"
#include "app/config_value.hpp"
#include "app/secret.hpp"

namespace sluice::app {
namespace {

TEST(ConfigSize, ReadsBytesWithAUnit) {
    EXPECT_EQ(parse_size("0B"), 0);
    EXPECT_EQ(parse_size("64KiB"), 64 * 1024);
    EXPECT_EQ(parse_size("1MiB"), 1 << 20);
    EXPECT_EQ(parse_size("2GiB"), 2LL << 30);
    EXPECT_EQ(parse_size("1TiB"), 1LL << 40);
}

TEST(ConfigSize, RefusesEverythingElse) {
    for (const char* text : {"", "KiB", "1", "1 MiB", "1MB", "1mib", "-1B", "+1B", "1.5MiB", "1MiBs",
                             "9999999TiB", "99999999999999999999B"}) {
        EXPECT_FALSE(parse_size(text)) << text;
    }
}

TEST(ConfigDuration, ReadsTimeWithAUnit) {
    EXPECT_EQ(parse_duration_ms("20ms"), 20);
    EXPECT_EQ(parse_duration_ms("10s"), 10'000);
    EXPECT_EQ(parse_duration_ms("5m"), 300'000);
    EXPECT_EQ(parse_duration_ms("12h"), 43'200'000);
    EXPECT_EQ(parse_duration_ms("7d"), 604'800'000);
    EXPECT_FALSE(parse_duration_ms("7w"));
    EXPECT_FALSE(parse_duration_ms("106751991168d"));
}

TEST(ConfigFormat, UsesTheLargestExactUnit) {
    EXPECT_EQ(format_size(0), "0B");
    EXPECT_EQ(format_size(1023), "1023B");
    EXPECT_EQ(format_size(1 << 20), "1MiB");
    EXPECT_EQ(format_size((1 << 20) + 1024), "1025KiB");
    EXPECT_EQ(format_duration(1500), "1500ms");
    EXPECT_EQ(format_duration(86'400'000), "1d");
}

TEST(ConfigKeys, SuggestWhatIsNear) {
    constexpr std::string_view known[] = {"packet_bytes_max", "port", "path", "address"};
    EXPECT_EQ(nearest_key("packet_byte_max", known), "packet_bytes_max");
    EXPECT_EQ(nearest_key("prot", known), "port");
    EXPECT_EQ(nearest_key("adress", known), "address");
    EXPECT_EQ(nearest_key("colour", known), "");
    EXPECT_EQ(nearest_key(std::string(100'000, 'p'), known), "");
}

TEST(ConfigAddress, KnowsLoopbackAndOverlap) {
    EXPECT_TRUE(is_loopback_address("127.0.0.1"));
    EXPECT_TRUE(is_loopback_address("127.9.9.9"));
    EXPECT_TRUE(is_loopback_address("::1"));
    EXPECT_TRUE(is_loopback_address("::ffff:127.0.0.1"));
    for (const char* other : {"", "0.0.0.0", "::", "192.168.1.1", "localhost", "127.0.0.1 ", "[::1]"}) {
        EXPECT_FALSE(is_loopback_address(other)) << other;
    }
    EXPECT_TRUE(addresses_overlap("", "127.0.0.1"));
    EXPECT_TRUE(addresses_overlap("0.0.0.0", "127.0.0.1"));
    EXPECT_TRUE(addresses_overlap("::", "::1"));
    EXPECT_TRUE(addresses_overlap("::1", "0:0::1"));
    EXPECT_FALSE(addresses_overlap("", "localhost"));
    EXPECT_FALSE(addresses_overlap("127.0.0.1", "127.0.0.2"));
    EXPECT_FALSE(addresses_overlap("127.0.0.1", "::1"));
}

class ConfigSecret : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-secret-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
    }
    std::string folder_;
};

TEST_F(ConfigSecret, IsTheTextItself) {
    EXPECT_EQ(*resolve_secret("hunter2", folder_), "hunter2");
    EXPECT_FALSE(resolve_secret("", folder_).ok());
}

TEST_F(ConfigSecret, ComesFromAFileWithoutItsLastLineEnd) {
    write("a", "one");
    write("b", "two\n");
    write("c", "three\r\n");
    write("d", " four \n\n");
    EXPECT_EQ(*resolve_secret("file:a", folder_), "one");
    EXPECT_EQ(*resolve_secret("file:" + folder_ + "/b", "/nowhere"), "two");
    EXPECT_EQ(*resolve_secret("file:c", folder_), "three");
    EXPECT_EQ(*resolve_secret("file:d", folder_), " four \n");
}

TEST_F(ConfigSecret, SaysWhyAFileCannotBeUsed) {
    write("empty", "\n");
    write("huge", std::string(100'000, 'x'));
    ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
    const auto why = [&](const char* given) { return resolve_secret(given, folder_).error(); };
    EXPECT_EQ(why("file:none"),
              "cannot read the secret file " + folder_ + "/none: No such file or directory");
    EXPECT_EQ(why("file:empty"), "the secret file " + folder_ + "/empty is empty");
    EXPECT_EQ(why("file:huge"), "cannot read the secret file " + folder_ + "/huge: it is larger than 64KiB");
    EXPECT_EQ(why("file:fifo"), "cannot read the secret file " + folder_ + "/fifo: it is not a regular file");
    EXPECT_EQ(why("file:."), "cannot read the secret file " + folder_ + "/: it is a folder");
    EXPECT_EQ(why("file:"), "names no file after \"file:\"");
}

TEST_F(ConfigSecret, ComesFromTheEnvironment) {
    ::setenv("SLUICE_TEST_SECRET", "deep", 1);
    EXPECT_EQ(*resolve_secret("env:SLUICE_TEST_SECRET", ""), "deep");
    ::setenv("SLUICE_TEST_SECRET", "", 1);
    EXPECT_EQ(resolve_secret("env:SLUICE_TEST_SECRET", "").error(),
              "the environment variable SLUICE_TEST_SECRET is empty");
    ::unsetenv("SLUICE_TEST_SECRET");
    EXPECT_EQ(resolve_secret("env:SLUICE_TEST_SECRET", "").error(),
              "the environment variable SLUICE_TEST_SECRET is not set");
    EXPECT_FALSE(resolve_secret("env:", "").ok());
}

}  // namespace
}  // namespace sluice::app
