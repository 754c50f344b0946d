/// What a reload cannot apply is told, key by key, as the reference manual says it.
#include "app/reload_changes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/fake_modules.hpp"

namespace sluice::app {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view text = R"(
[broker]
data_dir = "/var/lib/sluice"
[[listener]]
address = "127.0.0.1"
port = 1883
anonymous = true
[[listener]]
port = 8883
[listener.tls]
certificate = "old.crt"
key = "old.key"
[auth]
password_file = "old"
[admin]
port = 9883
[[bridge]]
name = "plant"
type = "kafka"
servers = ["one:9092"]
password = "secret"
[bridge.spool]
bytes_max = "1GiB"
[[bridge.route]]
from = "a/#"
topic = "t"
)";

Config parsed(const std::string& given) {
    auto config = parse_config(given, "/etc/sluice/sluice.toml", fake_modules());
    if (config) return std::move(config).value();
    for (const ConfigError& error : config.error()) ADD_FAILURE() << to_string(error);
    return {};
}

/// After `from` was replaced by `to`.
std::vector<std::string> waiting(const std::string& from, const std::string& to) {
    std::string changed(text);
    const auto at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    return settings_for_restart(parsed(std::string(text)), parsed(changed));
}

TEST(ReloadChanges, NothingWaitsWhenNothingChanged) {
    EXPECT_THAT(waiting("[broker]", "# the same, one line further down\n[broker]"), IsEmpty());
}

TEST(ReloadChanges, WhatIsAppliedDoesNotWait) {
    EXPECT_THAT(waiting("old.crt", "new.crt"), IsEmpty());
    EXPECT_THAT(waiting("password_file = \"old\"", "password_file = \"new\""), IsEmpty());
    EXPECT_THAT(waiting("[admin]", "[limits]\nconnections_max = 5\n[admin]"), IsEmpty());
}

TEST(ReloadChanges, WhatIsNotAppliedIsTold) {
    EXPECT_THAT(waiting("/var/lib/sluice", "/elsewhere"), ElementsAre("broker.data_dir"));
    EXPECT_THAT(waiting("anonymous = true", "anonymous = false"),
                ElementsAre("listener 127.0.0.1:1883: anonymous"));
    EXPECT_THAT(waiting("port = 1883", "port = 1884"),
                ElementsAre("listener 127.0.0.1:1883 (removed)", "listener 127.0.0.1:1884 (new)"));
    EXPECT_THAT(waiting("old.key\"", "old.key\"\nsession_tickets = false"),
                ElementsAre("listener port 8883: tls.session_tickets"));
    EXPECT_THAT(waiting("[listener.tls]\ncertificate = \"old.crt\"\nkey = \"old.key\"", ""),
                ElementsAre("listener port 8883: tls"));
    EXPECT_THAT(waiting("[admin]", "[store]\nbytes_max = \"1GiB\"\n[admin]"), ElementsAre("store.bytes_max"));
    EXPECT_THAT(waiting("port = 9883", "port = 9884"), ElementsAre("admin.port"));
    EXPECT_THAT(waiting("[admin]\nport = 9883", ""), ElementsAre("admin (removed)"));
}

/// What differs in the first bridge after `from` was replaced by `to`.
std::vector<std::string> changed_bridge(const std::string& from, const std::string& to) {
    std::string changed(text);
    const auto at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    return changed_bridge_settings(parsed(std::string(text)).bridges.at(0), parsed(changed).bridges.at(0),
                                   fake_modules());
}

TEST(ReloadChanges, BridgesDoNotWait) {
    EXPECT_THAT(waiting("one:9092", "two:9092"), IsEmpty());
    EXPECT_THAT(waiting("\"plant\"", "\"shop\""), IsEmpty());
}

TEST(ReloadChanges, BridgesAreComparedByTheKeysOfTheirModules) {
    EXPECT_THAT(changed_bridge("[broker]", "# the same\n[broker]"), IsEmpty());
    EXPECT_THAT(changed_bridge("one:9092", "two:9092"), ElementsAre("servers"));
    EXPECT_THAT(changed_bridge("\"secret\"", "\"other\""), ElementsAre("password"));
    EXPECT_THAT(changed_bridge("1GiB", "2GiB"), ElementsAre("spool.bytes_max"));
    EXPECT_THAT(changed_bridge("topic = \"t\"", "topic = \"u\""), ElementsAre("route 1: topic"));
    EXPECT_THAT(
        changed_bridge("topic = \"t\"", "topic = \"t\"\n[[bridge.route]]\nfrom = \"b\"\ntopic = \"u\""),
        ElementsAre("route 2 (new)"));
}

/// A value other than the default, if the kind tells one.
SettingValue other_value(const SettingRow& row) {
    switch (row.kind) {
        case SettingKind::boolean:
            return row.default_text != "true";
        case SettingKind::integer:
        case SettingKind::size:
        case SettingKind::duration:
            return row.maximum / row.step * row.step;
        case SettingKind::choice:
            return row.default_text == row.choices[0] ? std::int64_t{1} : std::int64_t{0};
        case SettingKind::text_list:
            return std::vector<std::string>{"another"};
        default:
            return std::string("another");
    }
}

/// Every row: it is told exactly when the manual does not say "yes".
template <class Of>
void check_all(std::span<const SettingRow> rows, const std::string& before_key, Of&& of) {
    const Config running = parsed(std::string(text));
    for (const SettingRow& row : rows) {
        Config fresh = parsed(std::string(text));
        row.assign(of(fresh), other_value(row));
        const auto told = settings_for_restart(running, fresh);
        if (row.reloadable) {
            EXPECT_THAT(told, IsEmpty()) << row.key;
        } else {
            EXPECT_THAT(told, ElementsAre(before_key + std::string(row.key))) << row.key;
        }
    }
}

TEST(ReloadChanges, EveryRowIsToldUnlessTheManualSaysThatItIsApplied) {
    check_all(broker_rows(), "broker.", [](Config& c) { return static_cast<void*>(&c); });
    check_all(auth::auth_rows(), "auth.", [](Config& c) { return static_cast<void*>(&c.auth); });
    check_all(shard::limits_rows(), "limits.", [](Config& c) { return static_cast<void*>(&c.limits); });
    check_all(store::durability_rows(), "durability.",
              [](Config& c) { return static_cast<void*>(&c.durability); });
    check_all(store::store_rows(), "store.", [](Config& c) { return static_cast<void*>(&c.store); });
    check_all(admin::admin_rows(), "admin.", [](Config& c) { return static_cast<void*>(&*c.admin); });
    check_all(net::tls_setting_rows(), "listener port 8883: tls.",
              [](Config& c) { return static_cast<void*>(&*c.listeners[1].tls); });
}

TEST(ReloadChanges, EveryRowOfABridgeIsCompared) {
    using bridge::BridgeSettings;
    const BridgeSettings running = parsed(std::string(text)).bridges.at(0);
    const auto check = [&](std::span<const SettingRow> rows, const std::string& before_key, auto&& of) {
        for (const SettingRow& row : rows) {
            BridgeSettings fresh = running;
            row.assign(of(fresh), other_value(row));
            EXPECT_THAT(changed_bridge_settings(running, fresh, fake_modules()),
                        ElementsAre(before_key + std::string(row.key)))
                << row.key;
        }
    };
    check(bridge::spool_rows(), "spool.", [](BridgeSettings& b) { return static_cast<void*>(&b.spool); });
    check(bridge::dead_rows(), "dead.", [](BridgeSettings& b) { return static_cast<void*>(&b.dead); });
    check(bridge::route_rows(),
          "route 1: ", [](BridgeSettings& b) { return static_cast<void*>(&b.routes[0]); });
}

TEST(ReloadChanges, TlsFilesAreTakenFromTheNewFile) {
    Config running = parsed(std::string(text));
    Config fresh = parsed(std::string(text));
    std::swap(fresh.listeners[0], fresh.listeners[1]);
    fresh.listeners[0].tls->certificate = "new.crt";
    fresh.listeners[0].tls->key = "new.key";
    fresh.listeners[0].tls->client_ca = "new.ca";
    fresh.listeners[0].tls->session_tickets = false;
    take_listener_settings(running.listeners, fresh.listeners);
    const net::TlsSettings& tls = *running.listeners[1].tls;
    EXPECT_EQ(tls.certificate, "new.crt");
    EXPECT_EQ(tls.key, "new.key");
    EXPECT_EQ(tls.client_ca, "new.ca");
    EXPECT_TRUE(tls.session_tickets) << "this one waits for a restart";
    EXPECT_FALSE(running.listeners[0].tls);
}

}  // namespace
}  // namespace sluice::app
