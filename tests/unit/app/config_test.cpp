#include "app/config.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "fake_modules.hpp"

namespace sluice::app {
namespace {

Config parse(std::string_view text) {
    auto config = parse_config(text, "/etc/sluice/sluice.toml", fake_modules());
    if (config) return *config;
    for (const auto& error : config.error()) ADD_FAILURE() << to_string(error);
    return {};
}

std::string first_error(std::string_view text) {
    const auto config = parse_config(text, "/etc/sluice/sluice.toml", fake_modules());
    return config.ok() ? "" : to_string(config.error().front());
}

TEST(ConfigText, OfNothingIsOneListenerForThisMachine) {
    const Config config = parse("");
    ASSERT_EQ(config.listeners.size(), 1U);
    EXPECT_EQ(config.listeners[0].address, "127.0.0.1");
    EXPECT_EQ(config.listeners[0].port, 1883);
    EXPECT_TRUE(config.listeners[0].anonymous);
    EXPECT_FALSE(config.listeners[0].insecure);
    EXPECT_EQ(config.data_dir, "/var/lib/sluice");
    EXPECT_EQ(config.threads, 0U);
    EXPECT_FALSE(config.admin);
    EXPECT_TRUE(config.limits == shard::Limits{});
    EXPECT_TRUE(config.warnings.empty());
}

TEST(ConfigText, ShardsLeaveOneCoreToOthersUnlessTheFileSaysHowMany) {
    Config config = parse("");
    EXPECT_EQ(shard_count(config, 1), 1U);
    EXPECT_EQ(shard_count(config, 2), 1U);
    EXPECT_EQ(shard_count(config, 4), 3U);
    EXPECT_EQ(shard_count(config, 65), 64U);
    EXPECT_EQ(shard_count(config, 256), 64U);
    config = parse("[broker]\nthreads = 2\n");
    EXPECT_EQ(shard_count(config, 1), 2U);
    EXPECT_EQ(shard_count(config, 64), 2U);
}

TEST(ConfigText, ListenersOfTheFileReplaceTheDefaultOne) {
    const Config config = parse("[[listener]]\nport = 7\naddress = '::1'\n");
    ASSERT_EQ(config.listeners.size(), 1U);
    EXPECT_EQ(config.listeners[0].port, 7);
    EXPECT_FALSE(config.listeners[0].anonymous);
    EXPECT_EQ(config.listeners[0].place, "/etc/sluice/sluice.toml:1");
}

TEST(ConfigText, AnEmptyAdminTableOpensThePort) {
    const Config config = parse("[admin]\n");
    ASSERT_TRUE(config.admin);
    EXPECT_EQ(config.admin->address, "127.0.0.1");
    EXPECT_EQ(config.admin->port, 9883);
}

// The example of the design is a contract: it must load as it stands.
TEST(ConfigText, TheExampleMeansWhatItSays) {
    const auto config =
        load_config(SLUICE_SOURCE_DIR "/tests/vectors/config/good/example.toml", fake_modules());
    ASSERT_TRUE(config.ok());
    ASSERT_EQ(config->listeners.size(), 3U);
    EXPECT_TRUE(config->listeners[0].anonymous);
    const auto& tls = config->listeners[1].tls;
    ASSERT_TRUE(tls);
    EXPECT_EQ(tls->certificate, "/etc/sluice/certs/server.crt");
    EXPECT_EQ(tls->client_certificate, net::ClientCertificate::required);
    EXPECT_EQ(tls->identity, net::TlsIdentity::common_name);
    EXPECT_EQ(config->listeners[2].transport, listener::Transport::websocket);
    EXPECT_EQ(config->auth.password_file, "/etc/sluice/passwd");
    EXPECT_EQ(config->limits.packet_bytes_max, 1U << 20);
    EXPECT_EQ(config->durability.mode, store::DurabilityMode::commit);
    EXPECT_EQ(config->durability.window.count(), 20);
    ASSERT_TRUE(config->admin);
    ASSERT_EQ(config->bridges.size(), 1U);
    const auto& bridge = config->bridges[0];
    EXPECT_EQ(bridge.name, "plant");
    EXPECT_EQ(bridge.spool.bytes_max, 1U << 30);
    EXPECT_EQ(bridge.spool.age_max, std::chrono::hours(7 * 24));
    ASSERT_EQ(bridge.routes.size(), 1U);
    EXPECT_EQ(bridge.routes[0].from, "plant/+/telemetry/#");
    EXPECT_EQ(bridge.routes[0].when, "payload.temperature > 30 and property.site == \"a\"");
    EXPECT_EQ(bridge.routes[0].ack, bridge::RouteAck::spool);
    const auto& module = *static_cast<const FakeBridgeSettings*>(bridge.connector.get());
    EXPECT_EQ(module.servers, (std::vector<std::string>{"kafka1:9092", "kafka2:9092"}));
    const auto& route = *static_cast<const FakeRouteSettings*>(bridge.routes[0].connector.get());
    EXPECT_EQ(route.topic, "telemetry.{topic[1]}");
    EXPECT_EQ(route.key, "{client_id}");
}

TEST(ConfigText, RelativePathsStartAtTheFile) {
    const Config config =
        parse("[broker]\ndata_dir = '../data'\n[auth]\npassword_file = 'passwd'\nacl_file = '/x/acl'\n");
    EXPECT_EQ(config.data_dir, "/etc/data");
    EXPECT_EQ(config.auth.password_file, "/etc/sluice/passwd");
    EXPECT_EQ(config.auth.acl_file, "/x/acl");
}

TEST(ConfigText, ReadsTablesBelowTheKeysOfAModule) {
    constexpr std::string_view table =
        "[[bridge]]\nname = 'a'\ntype = 'kafka'\nservers = ['k']\n[bridge.tls]\nca = 'ca.crt'\n"
        "[[bridge.route]]\nfrom = '#'\ntopic = 't'\n";
    const Config config = parse(table);
    ASSERT_EQ(config.bridges.size(), 1U);
    EXPECT_EQ(static_cast<const FakeBridgeSettings*>(config.bridges[0].connector.get())->tls_ca,
              "/etc/sluice/ca.crt");
}

TEST(ConfigText, NumbersAreBytesAndSeconds) {
    const Config config = parse("[limits]\nqueue_bytes_max = 4096\nconnect_timeout = 30\n");
    EXPECT_EQ(config.limits.queue_bytes_max, 4096U);
    EXPECT_EQ(config.limits.connect_timeout.count(), 30);
}

TEST(ConfigText, HugeNumbersDoNotOverflow) {
    EXPECT_NE(first_error("[limits]\nconnect_timeout = 9223372036854775807\n").find("is too large"),
              std::string::npos);
    EXPECT_NE(first_error("[limits]\nconnect_timeout = -9223372036854775808\n").find("is too small"),
              std::string::npos);
}

TEST(ConfigText, SecretsAreNeverRepeated) {
    for (const char* text : {"password = ['hunter2']", "password = 'hunter2'\npasword = 'hunter2'",
                             "password = 'hunter2'\nretry = 'x'"}) {
        const auto config =
            parse_config(std::string("[[bridge]]\ntype = 'kafka'\n") + text + "\n", "x.toml", fake_modules());
        ASSERT_FALSE(config.ok());
        for (const auto& error : config.error()) {
            EXPECT_EQ(to_string(error).find("hunter2"), std::string::npos) << to_string(error);
        }
    }
}

TEST(ConfigText, OfASecretInTheEnvironmentIsResolvedOrRefused) {
    constexpr std::string_view text =
        "[[bridge]]\nname = 'a'\ntype = 'kafka'\nservers = ['k']\npassword = 'env:SLUICE_TEST_KAFKA'\n"
        "[[bridge.route]]\nfrom = '#'\ntopic = 't'\n";
    ::unsetenv("SLUICE_TEST_KAFKA");
    EXPECT_EQ(first_error(text),
              "/etc/sluice/sluice.toml:5:12: key `bridge.password`: the environment variable "
              "SLUICE_TEST_KAFKA is not "
              "set; expected the secret itself, \"file:PATH\" or \"env:NAME\"");
    ::setenv("SLUICE_TEST_KAFKA", "x", 1);
    EXPECT_EQ(static_cast<const FakeBridgeSettings*>(parse(text).bridges[0].connector.get())->password, "x");
    ::unsetenv("SLUICE_TEST_KAFKA");
}

TEST(ConfigText, WithoutModulesEveryTypeIsUnknown) {
    const auto config =
        parse_config("[[bridge]]\nname='a'\ntype='kafka'\n[[bridge.route]]\nfrom='#'\n", "x.toml", {});
    ASSERT_FALSE(config.ok());
    ASSERT_EQ(config.error().size(), 1U);
    EXPECT_EQ(config.error()[0].expected, "expected a type whose module is installed; there is none");
}

TEST(ConfigFile, ThatCannotBeReadIsOneError) {
    const auto missing = load_config("/nonexistent/sluice.toml", fake_modules());
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(to_string(missing.error()[0]),
              "/nonexistent/sluice.toml: cannot read the settings: No such file or directory");
    const auto folder = load_config(SLUICE_SOURCE_DIR, fake_modules());
    ASSERT_FALSE(folder.ok());
    EXPECT_EQ(to_string(folder.error()[0]), SLUICE_SOURCE_DIR ": cannot read the settings: Is a directory");
}

// docs/config-reference.md is printed, not written. To renew it: SLUICE_WRITE_EXPECTED=1 with this test.
TEST(SettingsReference, IsUpToDate) {
    const std::string path = SLUICE_SOURCE_DIR "/docs/config-reference.md";
    const std::string page = render_settings_reference();
    if (std::getenv("SLUICE_WRITE_EXPECTED") != nullptr) std::ofstream(path, std::ios::binary) << page;
    std::ostringstream committed;
    committed << std::ifstream(path, std::ios::binary).rdbuf();
    EXPECT_EQ(committed.str(), page) << "renew it with SLUICE_WRITE_EXPECTED=1";
}

TEST(SettingsReference, HasEveryKeyOfTheModulesToo) {
    const auto modules = fake_module_list();
    const std::string page = render_settings_reference(modules);
    for (const char* words : {"`packet_bytes_max`", "size, 256B to 268435455B", "`\"1MiB\"`",
                              "`[listener.tls]`", "`[[bridge]]` with `type = \"kafka\"`", "`tls.ca`"}) {
        EXPECT_NE(page.find(words), std::string::npos) << words;
    }
}

}  // namespace
}  // namespace sluice::app
