/// What holds for every row of every room: default, bounds and words.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "app/config.hpp"
#include "app/config_value.hpp"

namespace sluice::app {
namespace {

/// The default as the manual prints it, the way the operator would write it.
TomlNode written_default(const SettingRow& row) {
    TomlNode node;
    switch (row.kind) {
        case SettingKind::boolean:
            node.kind = TomlNode::Kind::boolean;
            node.boolean = row.default_text == "true";
            EXPECT_TRUE(row.default_text == "true" || row.default_text == "false") << row.key;
            break;
        case SettingKind::integer:
            node.kind = TomlNode::Kind::integer;
            node.integer = std::stoll(std::string(row.default_text));
            break;
        case SettingKind::text_list:
            node.kind = TomlNode::Kind::array;
            EXPECT_EQ(row.default_text, "") << row.key;
            break;
        default:
            node.kind = TomlNode::Kind::text;
            node.text = row.default_text;
    }
    return node;
}

bool has_no_default(const SettingRow& row) {
    return row.required || (row.default_text.empty() && row.kind != SettingKind::text_list);
}

template <class Settings>
void check_defaults(std::span<const SettingRow> rows, const Settings& initial) {
    Settings assigned;
    for (const SettingRow& row : rows) {
        if (has_no_default(row)) continue;
        const auto value = read_value(row, written_default(row), "");
        ASSERT_TRUE(value.ok()) << row.key << ": " << value.error().problem << "; " << value.error().expected;
        row.assign(&assigned, *value);
        EXPECT_TRUE(assigned == initial)
            << row.key << ": the manual says " << row.default_text << ", the struct says something else";
        assigned = initial;
    }
}

/// assign() aborts when a bound does not fit into the member.
template <class Settings>
void check_bounds(std::span<const SettingRow> rows) {
    for (const SettingRow& row : rows) {
        const bool is_number = row.kind == SettingKind::integer || row.kind == SettingKind::size ||
                               row.kind == SettingKind::duration;
        Settings settings;
        if (is_number) {
            ASSERT_LE(row.minimum, row.maximum) << row.key;
            row.assign(&settings, row.minimum);
            row.assign(&settings, row.maximum / row.step * row.step);
        } else if (row.kind == SettingKind::choice) {
            ASSERT_FALSE(row.choices.empty()) << row.key;
            row.assign(&settings, static_cast<std::int64_t>(row.choices.size()) - 1);
        }
    }
}

void check_words(std::span<const SettingRow> rows) {
    static const std::regex key_form("[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)*");
    std::set<std::string_view> keys;
    for (const SettingRow& row : rows) {
        EXPECT_TRUE(std::regex_match(std::string(row.key), key_form)) << row.key;
        EXPECT_TRUE(keys.insert(row.key).second) << row.key << " stands twice";
        EXPECT_GE(row.doc.size(), 10U) << row.key;
        EXPECT_TRUE(row.doc.ends_with('.')) << row.key << ": the doc is a sentence";
        EXPECT_EQ(row.doc.find('\n'), std::string_view::npos) << row.key;
    }
}

template <class Settings>
void check(std::span<const SettingRow> rows) {
    check_words(rows);
    check_bounds<Settings>(rows);
    check_defaults<Settings>(rows, Settings{});
}

TEST(SettingRows, OfLimits) {
    check<shard::Limits>(shard::limits_rows());
}
TEST(SettingRows, OfListeners) {
    check<listener::ListenerSettings>(listener::listener_rows());
}
TEST(SettingRows, OfTls) {
    check<net::TlsSettings>(net::tls_setting_rows());
}
TEST(SettingRows, OfAuth) {
    check<auth::AuthSettings>(auth::auth_rows());
}
TEST(SettingRows, OfDurability) {
    check<store::DurabilitySettings>(store::durability_rows());
    check<store::DiskSettings>(store::store_rows());
}
TEST(SettingRows, OfAdmin) {
    check<admin::AdminSettings>(admin::admin_rows());
}
TEST(SettingRows, OfSpools) {
    check<bridge::SpoolSettings>(bridge::spool_rows());
}

TEST(SettingRows, OfTheBroker) {
    check_words(broker_rows());
    check_bounds<Config>(broker_rows());
    const Config config;
    EXPECT_EQ(config.data_dir, broker_rows()[0].default_text);
    EXPECT_EQ(std::to_string(config.threads), broker_rows()[1].default_text);
    EXPECT_EQ(std::to_string(config.sys_interval.count()) + "s", broker_rows()[2].default_text);
}

TEST(SettingRows, OfBridgesAndRoutes) {
    check_words(bridge::bridge_rows());
    check_words(bridge::route_rows());
    check_bounds<bridge::RouteSettings>(bridge::route_rows());
    EXPECT_EQ(bridge::RouteSettings{}.ack, bridge::RouteAck::spool);
}

struct Narrow {
    std::uint16_t port = 0;
    std::chrono::seconds wait{0};
};
TEST(SettingRowsDeathTest, AbortWhenABoundDoesNotFitTheMember) {
    Narrow narrow;
    EXPECT_DEATH(bind_setting<&Narrow::port>(&narrow, std::int64_t{65536}), "CHECK failed");
    EXPECT_DEATH(bind_setting<&Narrow::wait>(&narrow, std::int64_t{1500}), "CHECK failed");
}

}  // namespace
}  // namespace sluice::app
