#include "bridge/tls_settings.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sluice::bridge {
namespace {

struct OwnSettings {
    int number = 0;
    TlsSettings tls;
};
constexpr SettingRow own_table[] = {{.key = "number",
                                     .kind = SettingKind::integer,
                                     .default_text = "0",
                                     .doc = "A number.",
                                     .assign = bind_setting<&OwnSettings::number>,
                                     .maximum = 9}};
constexpr auto rows = join_rows(own_table, tls_rows<&OwnSettings::tls>);

const SettingRow& row(std::string_view key) {
    for (const SettingRow& one : rows)
        if (one.key == key) return one;
    throw std::logic_error("no such key");
}

TEST(TlsSettings, RowsReachTheNestedMember) {
    OwnSettings settings, other;
    row("number").assign(&settings, std::int64_t{7});
    row("ca_file").assign(&settings, std::string("a"));
    row("certificate").assign(&settings, std::string("b"));
    row("key").assign(&settings, std::string("c"));
    row("key_password").assign(&settings, std::string("d"));
    row("tls").assign(&settings, true);
    row("server_name_check").assign(&settings, false);
    EXPECT_EQ(settings.number, 7);
    EXPECT_EQ(settings.tls, (TlsSettings{true, "a", "b", "c", "d", false}));
    for (const SettingRow& one : rows) {
        EXPECT_FALSE(one.same(&settings, &other)) << one.key;
        EXPECT_TRUE(one.same(&settings, &settings)) << one.key;
    }
    EXPECT_EQ(row("key_password").kind, SettingKind::secret);
}

TEST(TlsSettings, AnyKeyMeansTls) {
    EXPECT_FALSE(TlsSettings{}.enabled());
    EXPECT_TRUE(TlsSettings{}.enabled(true));
    EXPECT_FALSE((TlsSettings{.tls = false}).enabled(true));
    EXPECT_TRUE((TlsSettings{.tls = true}).enabled());
    EXPECT_TRUE((TlsSettings{.ca_file = "x"}).enabled());
    EXPECT_TRUE((TlsSettings{.certificate = "x"}).enabled());
    EXPECT_TRUE((TlsSettings{.server_name_check = false}).enabled());
}

TEST(TlsSettings, EveryKeyIsNamedThatHasNoMeaningWithoutTls) {
    const TlsSettings all[] = {{.tls = false, .ca_file = "x"},
                               {.tls = false, .certificate = "x"},
                               {.tls = false, .key = "x"},
                               {.tls = false, .key_password = "x"},
                               {.tls = false, .server_name_check = false}};
    std::set<std::string> named;
    for (const auto& settings : all) {
        const auto checked = check_tls(settings);
        ASSERT_FALSE(checked.ok());
        EXPECT_NE(checked.error().find(": has no meaning with tls = false; expected "), std::string::npos);
        named.insert(checked.error().substr(0, checked.error().find(':')));
    }
    EXPECT_EQ(named,
              (std::set<std::string>{"ca_file", "certificate", "key", "key_password", "server_name_check"}));
    EXPECT_TRUE(check_tls({.tls = false}).ok());
    EXPECT_TRUE(check_tls({.tls = true}).ok());
}

}  // namespace
}  // namespace sluice::bridge
