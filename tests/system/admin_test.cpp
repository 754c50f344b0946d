/// What operators see: the HTTP port through curl, and sluicectl.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/mosquitto.hpp"
#include "tests/system/mqtt_client.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class Admin : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_TRUE(broker_.start(fmt::format(
            "[broker]\ndata_dir = \"{}/data\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
            "anonymous = true\n[admin]\nport = 0\n[[bridge]]\nname = \"plant\"\ntype = \"kafka\"\n"
            "servers = [\"127.0.0.1:1\"]\n[[bridge.route]]\nfrom = \"plant/#\"\ntopic = \"t\"\n",
            folder_.path().string())))
            << broker_.log();
    }
    std::string url(const std::string& path = "") const {
        return fmt::format("http://127.0.0.1:{}{}", broker_.admin_port(), path);
    }
    std::string get(const std::string& path) const { return admin_answer(broker_, path); }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Admin, health_and_readiness) {
    EXPECT_THAT(get("/healthz"), HasSubstr("200 {"));
    EXPECT_THAT(get("/readyz"), HasSubstr("200 {"));
    EXPECT_THAT(get("/readyz"), HasSubstr("\"ready\": true"));
    EXPECT_THAT(get("/nowhere"), HasSubstr("404 {"));
}

TEST_F(Admin, metrics_count_what_happens) {
    MqttClient client;
    ASSERT_TRUE(client.connect(broker_.port(), {.client_id = "one"}));
    client.publish("a/b", "x", wire::QoS::at_least_once, 1);
    ASSERT_TRUE(client.receive());
    const std::string metrics = get("/metrics");
    EXPECT_THAT(metrics, HasSubstr("200 "));
    EXPECT_THAT(metrics, HasSubstr("# TYPE sluice_"));
    EXPECT_THAT(metrics, HasSubstr("sluice_build_info"));
    EXPECT_THAT(metrics, HasSubstr("sluice_connections 1"));
    // Prometheus refuses a page that tells one family twice.
    std::set<std::string> families;
    std::istringstream lines(metrics);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("# TYPE ")) continue;
        EXPECT_TRUE(families.insert(line).second) << line;
    }
}

TEST_F(Admin, bridge_that_cannot_reach_its_upstream_shows_its_spool) {
    MqttClient client;
    ASSERT_TRUE(client.connect(broker_.port(), {.client_id = "one"}));
    for (wire::PacketId id = 1; id <= 3; ++id) {
        client.publish("plant/x", "x", wire::QoS::at_least_once, id);
        ASSERT_TRUE(client.receive());
    }
    const auto answer = run_command({"curl", "-s", url("/api/v1/bridges")});
    const json parsed = json::parse(answer.out);
    ASSERT_EQ(parsed["bridges"].size(), 1U) << answer.out;
    const json& bridge = parsed["bridges"][0];
    EXPECT_EQ(bridge["name"], "plant");
    EXPECT_EQ(bridge["type"], "kafka");
    EXPECT_EQ(bridge["spool_messages"], 3);
    EXPECT_NE(bridge["state"], "connected");
}

TEST_F(Admin, sluicectl_status) {
    const auto status = run_command({program("sluicectl"), "--url", url(), "status"});
    EXPECT_EQ(status.exit_code, 0) << status.out << status.err;
    EXPECT_THAT(status.out, HasSubstr("live, ready"));
    EXPECT_THAT(status.out, HasSubstr("plant"));
    broker_.kill();
    const auto gone = run_command({program("sluicectl"), "--url", url(), "status"});
    EXPECT_EQ(gone.exit_code, 3);
    EXPECT_THAT(gone.err, HasSubstr("no broker answers"));
}

TEST_F(Admin, sluicectl_store_looks_after_the_store_of_a_running_broker) {
    const std::string data = (folder_.path() / "data").string(), copy = (folder_.path() / "copy.db").string();
    const auto ctl = [&](std::vector<std::string> words) {
        words.insert(words.begin(), {program("sluicectl"), "--url", url(), "store"});
        return run_command(words);
    };
    const auto sent = mosquitto_pub({"-h", "127.0.0.1", "-p", std::to_string(broker_.port()), "-q", "1", "-t",
                                     "plant/a", "-m", "x", "-r"});
    ASSERT_EQ(sent.exit_code, 0) << sent.err;
    const auto status = ctl({"status"});
    EXPECT_EQ(status.exit_code, 0) << status.err;
    EXPECT_THAT(status.out, HasSubstr("store: writes"));
    EXPECT_THAT(status.out, HasSubstr("checkpoint"));
    EXPECT_EQ(ctl({"check", "--data-dir", data}).exit_code, 0);
    const auto backup = ctl({"backup", "--data-dir", data, copy});
    EXPECT_EQ(backup.exit_code, 0) << backup.err;
    EXPECT_THAT(backup.out, HasSubstr("1 retained"));
    const auto in_use = ctl({"restore", "--data-dir", data, copy});
    EXPECT_EQ(in_use.exit_code, 1);
    EXPECT_THAT(in_use.err, HasSubstr("in use by another broker"));
    EXPECT_TRUE(broker_.stop());
    const auto restored = ctl({"restore", "--data-dir", data, copy, "--json"});
    EXPECT_EQ(restored.exit_code, 0) << restored.err;
    EXPECT_EQ(json::parse(restored.out, nullptr, false).value("retained", 0), 1);
    EXPECT_EQ(ctl({"status"}).exit_code, 3) << "nobody to ask";
}

}  // namespace
}  // namespace sluice::test
