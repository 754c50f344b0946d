/// What the process maps: the broker alone stays small, and a client library comes only with its bridge.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string proc_file(pid_t pid, const std::string& name) {
    std::ifstream file(fmt::format("/proc/{}/{}", pid, name));
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

long resident_kb(pid_t pid) {
    const std::string status = proc_file(pid, "status");
    const auto at = status.find("VmRSS:");
    return at == status.npos ? -1 : std::atol(status.c_str() + at + 6);
}

class Maps : public ::testing::Test {
  protected:
    std::string config(const std::string& more) const {
        return fmt::format(
            "[broker]\ndata_dir = \"{}/data\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
            "anonymous = true\n{}",
            folder_.path().string(), more);
    }
    void expect_no_foreign_library() {
        const std::string maps = proc_file(broker_.pid(), "maps");
        ASSERT_THAT(maps, HasSubstr("sluiced"));
        for (const char* library : {"librdkafka", "libssl", "libcrypto", "librabbitmq"})
            EXPECT_THAT(maps, Not(HasSubstr(library)));
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Maps, plain_broker_maps_no_client_library) {
    ASSERT_TRUE(broker_.start(config(""))) << broker_.log();
    expect_no_foreign_library();
    fmt::print("idle VmRSS, plain listener: {} kB\n", resident_kb(broker_.pid()));
}

TEST_F(Maps, tls_broker_maps_no_openssl) {
    ASSERT_EQ(
        run_command({source("certs/make-dev-certs"), "--out", folder_.path(), "--devices", "1"}).exit_code,
        0);
    ASSERT_TRUE(
        broker_.start(config("[listener.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n"
                             "client_ca = \"ca.crt\"\nclient_certificate = \"optional\"\n")))
        << broker_.log();
    expect_no_foreign_library();
    fmt::print("idle VmRSS, TLS listener: {} kB\n", resident_kb(broker_.pid()));
}

TEST_F(Maps, kafka_bridge_brings_librdkafka) {
    ASSERT_TRUE(
        broker_.start(config("[[bridge]]\nname = \"k\"\ntype = \"kafka\"\nservers = "
                             "[\"127.0.0.1:1\"]\n[[bridge.route]]\nfrom = \"a/#\"\ntopic = \"t\"\n")))
        << broker_.log();
    const std::string maps = proc_file(broker_.pid(), "maps");
    EXPECT_THAT(maps, HasSubstr("librdkafka"));
    EXPECT_THAT(maps, HasSubstr("bridge-kafka.so"));
    EXPECT_THAT(maps, Not(HasSubstr("librabbitmq")));
    fmt::print("idle VmRSS, Kafka bridge: {} kB\n", resident_kb(broker_.pid()));
}

}  // namespace
}  // namespace sluice::test
