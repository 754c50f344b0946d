/// What is wrong with a settings file or its surroundings is said in one line, with its place, and at once.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;

constexpr auto start_longest = std::chrono::seconds(5);

class StartErrors : public ::testing::Test {
  protected:
    std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
    std::string config_path() const { return path("sluice.toml"); }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

    std::string plain(const std::string& more = "", const std::string& data = "data",
                      const std::string& port = "0") const {
        return fmt::format(R"([broker]
data_dir = "{}"
[[listener]]
address = "127.0.0.1"
port = {}
anonymous = true
{})",
                           path(data), port, more);
    }

    /// One error line that holds all of `words`, a non-zero exit, in time.
    void expect_refused(const std::string& config, const std::vector<std::string>& words) {
        write("sluice.toml", config);
        expect_one_line(run_command({sluiced(), "--config", config_path()}, start_longest), words);
    }
    void expect_one_line(const CommandResult& result, const std::vector<std::string>& words) {
        EXPECT_FALSE(result.timed_out) << result.err;
        EXPECT_EQ(result.exit_code, 1) << result.err;
        std::istringstream lines(result.err);
        std::vector<std::string> errors;
        for (std::string line; std::getline(lines, line);) {
            if (line.find(" info ") == line.npos) errors.push_back(line);
        }
        ASSERT_EQ(errors.size(), 1U) << result.err;
        for (const auto& word : words) EXPECT_THAT(errors.front(), HasSubstr(word));
    }
    /// The same for `--check`.
    void expect_check_refuses(const std::string& config, const std::vector<std::string>& words) {
        write("sluice.toml", config);
        expect_one_line(run_command({sluiced(), "--check", "--config", config_path()}, start_longest), words);
    }

    TempFolder folder_;
};

TEST_F(StartErrors, wrong_key) {
    const std::string config = plain("[limits]\npacket_byte_max = 1000\n");
    const std::vector<std::string> words{config_path() + ":8:", "`limits.packet_byte_max`",
                                         "packet_bytes_max"};
    expect_refused(config, words);
    expect_check_refuses(config, words);
}

TEST_F(StartErrors, wrong_type) {
    const std::string config = plain("[limits]\nreceive_maximum = \"many\"\n");
    const std::vector<std::string> words{config_path() + ":8:", "`limits.receive_maximum`",
                                         "an integer from 1 to 65535"};
    expect_refused(config, words);
    expect_check_refuses(config, words);
}

TEST_F(StartErrors, syntax_error) {
    expect_refused("[broker]\ndata_dir = \n", {config_path() + ":2:", "syntax error"});
}

TEST_F(StartErrors, missing_settings_file) {
    const std::string nowhere = path("nowhere.toml");
    expect_one_line(run_command({sluiced(), "--config", nowhere}, start_longest), {nowhere, "No such file"});
}

TEST_F(StartErrors, missing_certificate) {
    const std::string config = plain("[listener.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\n");
    expect_refused(config, {config_path() + ":3", path("server.crt"), "no such file"});
    expect_check_refuses(config, {config_path() + ":3", path("server.crt"), "no such file"});
}

TEST_F(StartErrors, port_in_use) {
    SluicedProcess first(folder_.path());
    ASSERT_TRUE(first.start(plain())) << first.log();
    const std::string port = std::to_string(first.port());
    expect_refused(plain("", "other", port), {config_path() + ":3", "127.0.0.1:" + port, "in use"});
}

TEST_F(StartErrors, data_directory_below_a_regular_file) {
    write("file", "");
    expect_refused(plain("", "file/data"), {path("file/data"), "Not a directory"});
}

TEST_F(StartErrors, data_directory_is_a_regular_file) {
    write("file", "");
    expect_refused(plain("", "file"), {path("file"), "not a directory"});
    expect_check_refuses(plain("", "file"), {config_path(), "`broker.data_dir`", path("file")});
}

TEST_F(StartErrors, second_broker_on_the_same_data_directory) {
    SluicedProcess first(folder_.path());
    ASSERT_TRUE(first.start(plain())) << first.log();
    expect_refused(plain(), {path("data"), "in use by another broker", std::to_string(first.pid())});
    EXPECT_TRUE(first.running());
}

TEST_F(StartErrors, unknown_bridge_type) {
    const std::string config =
        plain("[[bridge]]\nname = \"plant\"\ntype = \"carrier_pigeon\"\n[[bridge.route]]\nfrom = \"#\"\n");
    expect_refused(config, {config_path() + ":9:", "`bridge.type`", "carrier_pigeon"});
    expect_check_refuses(config, {config_path() + ":9:", "`bridge.type`", "carrier_pigeon"});
}

/// What a connector finds out when it is made, the check finds too.
TEST_F(StartErrors, missing_ca_of_a_bridge) {
    for (const char* type : {"kafka", "amqp"}) {
        const std::string config =
            plain(fmt::format("[[bridge]]\nname = \"plant\"\ntype = \"{}\"\nservers = [\"localhost:1\"]\n"
                              "ca_file = \"ca.crt\"\n[[bridge.route]]\nfrom = \"#\"\n{}",
                              type, std::string(type) == "kafka" ? "topic = \"t\"\n" : ""));
        const std::vector<std::string> words{config_path() + ":", "ca_file: " + path("ca.crt"),
                                             "No such file", "expected a PEM file with CA certificates"};
        expect_refused(config, words);
        expect_check_refuses(config, words);
    }
}

TEST_F(StartErrors, pattern_of_a_way_down_that_is_none) {
    const std::string config = plain(
        "[[bridge]]\nname = \"plant\"\ntype = \"kafka\"\nservers = [\"localhost:1\"]\n"
        "[[bridge.down]]\ntopics = [\"^(\"]\ntopic = \"a/b\"\n");
    const std::vector<std::string> words{config_path() + ":", "topics: '^(' is no pattern"};
    expect_refused(config, words);
    expect_check_refuses(config, words);
}

TEST_F(StartErrors, open_door_without_saying_so) {
    expect_refused(
        fmt::format("[broker]\ndata_dir = \"{}\"\n[[listener]]\nport = 0\nanonymous = true\n", path("data")),
        {config_path() + ":5:", "`listener.anonymous`", "insecure"});
}

/// The example of the design, with files and ports of this machine.
std::string complete_example(const std::string& folder) {
    return fmt::format(R"(
[broker]
data_dir = "{0}/data"
threads  = 0

[[listener]]
address   = "127.0.0.1"
port      = 0
anonymous = true

[[listener]]
port = 0
[listener.tls]
certificate = "{0}/server.crt"
key         = "{0}/server.key"
client_ca   = "{0}/ca.crt"
client_certificate = "required"
identity    = "common_name"

[[listener]]
port = 0
transport = "websocket"

[auth]
password_file = "{0}/passwd"
acl_file      = "{0}/acl"

[limits]
packet_bytes_max = "1MiB"
connections_max = 10000
queue_messages_max = 100000
queue_full = "drop_oldest"

[durability]
mode = "commit"
window = "20ms"

[admin]
address = "127.0.0.1"
port    = 0

[[bridge]]
name    = "plant"
type    = "kafka"
servers = ["127.0.0.1:1", "localhost:1"]
[bridge.spool]
bytes_max = "1GiB"
age_max   = "7d"
full      = "drop_oldest"
drain_rate = 0
[[bridge.route]]
from  = "plant/+/telemetry/#"
topic = "telemetry.{{topic[1]}}"
key   = "{{client_id}}"
when  = 'payload.temperature > 30 and property.site == "a"'
ack   = "spool"
)",
                       folder);
}

TEST_F(StartErrors, the_complete_example_is_accepted_and_serves) {
    ASSERT_EQ(
        run_command({source("certs/make-dev-certs"), "--out", folder_.path(), "--devices", "1"}).exit_code,
        0);
    ASSERT_EQ(run_command({"mosquitto_passwd", "-b", "-c", path("passwd"), "user", "word"}).exit_code, 0)
        << "is the package mosquitto installed?";
    write("acl", "user user\ntopic readwrite #\npattern read device/%c/#\n");
    const std::string config = complete_example(folder_.path());
    write("sluice.toml", config);
    const auto check = run_command({sluiced(), "--check", "--config", config_path()}, start_longest);
    EXPECT_EQ(check.exit_code, 0) << check.err;
    EXPECT_THAT(check.out, HasSubstr("ok"));
    SluicedProcess broker(folder_.path());
    ASSERT_TRUE(broker.start(config)) << broker.log();
    EXPECT_NE(broker.port(0), 0);
    EXPECT_NE(broker.port(1), 0);
    EXPECT_NE(broker.port(2), 0);
    EXPECT_NE(broker.admin_port(), 0);
    EXPECT_TRUE(broker.stop()) << broker.log();
}

}  // namespace
}  // namespace sluice::test
