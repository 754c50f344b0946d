#include "firmware_sim/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::firmware {
namespace {

using ::testing::HasSubstr;

TEST(Options, DefaultsFollowFromEachOther) {
    Options options;
    EXPECT_FALSE(complete_options(options));
    EXPECT_EQ(options.port, 1883);
    EXPECT_EQ(options.uri(), "tcp://localhost:1883");
    options.host = "::1";
    EXPECT_EQ(options.uri(), "tcp://[::1]:1883");
}

TEST(Options, EachMistakeIsOneClearLine) {
    const auto mistake = [](auto change) {
        Options options;
        change(options);
        return complete_options(options).value_or("none");
    };
    EXPECT_THAT(mistake([](Options& o) { o.tls = true; }), HasSubstr("--ca"));
    EXPECT_THAT(mistake([](Options& o) { o.ca_file.assign("ca.crt"); }), HasSubstr("need --tls"));
    EXPECT_EQ(mistake([](Options& o) { o.tls = true, o.ca_file = "/nonexistent.crt"; }),
              "cannot read CA file '/nonexistent.crt': No such file or directory");
    EXPECT_EQ(mistake([](Options& o) { o.replay_file = "/nonexistent.csv"; }),
              "cannot read replay file '/nonexistent.csv': No such file or directory");
    EXPECT_THAT(mistake([](Options& o) { o.loop = true; }), HasSubstr("--replay"));
    EXPECT_THAT(mistake([](Options& o) { o.topic_prefix.assign("a/#"); }), HasSubstr("--topic-prefix"));
    EXPECT_THAT(mistake([](Options& o) { o.password = "env:SLUICE_NO_SUCH"; }), HasSubstr("SLUICE_NO_SUCH"));
}

TEST(Options, TheMissingCertificateOfADeviceIsNamed) {
    const std::filesystem::path folder = ::testing::TempDir() + "options_certs";
    std::filesystem::create_directories(folder);
    for (const char* file : {"ca.crt", "device-0001.crt", "device-0001.key"})
        std::ofstream(folder / file) << "x";
    Options options;
    options.tls = true;
    options.ca_file = folder / "ca.crt";
    options.cert_dir = folder;
    EXPECT_FALSE(complete_options(options));
    options.devices = 2;
    EXPECT_THAT(complete_options(options).value_or(""), HasSubstr("device-0002.crt"));
    std::filesystem::remove_all(folder);
}

TEST(Options, SecretsAreReadFromTheirPlace) {
    ::setenv("SLUICE_TEST_PASSWORD", "secret", 1);
    Options options;
    options.password = "env:SLUICE_TEST_PASSWORD";
    EXPECT_FALSE(complete_options(options));
    EXPECT_EQ(options.password, "secret");
}

}  // namespace
}  // namespace sluice::firmware
