#include "store/settings.hpp"

#include <gtest/gtest.h>

namespace sluice::store {
namespace {

const SettingRow& row(std::span<const SettingRow> rows, std::string_view key) {
    for (const auto& r : rows)
        if (r.key == key) return r;
    ADD_FAILURE() << "no row " << key;
    return rows.front();
}
const SettingRow& row(std::string_view key) {
    return row(durability_rows(), key);
}

TEST(DurabilityRows, assign_their_members) {
    DurabilitySettings settings;
    row("mode").assign(&settings, std::int64_t{2});
    row("window").assign(&settings, std::int64_t{100});
    EXPECT_EQ(settings.mode, DurabilityMode::memory);
    EXPECT_EQ(settings.window, std::chrono::milliseconds(100));
}

TEST(DurabilityRows, say_the_defaults_of_the_struct) {
    const DurabilitySettings settings;
    EXPECT_EQ(row("mode").default_text, row("mode").choices[static_cast<std::size_t>(settings.mode)]);
    EXPECT_EQ(row("window").default_text, std::to_string(settings.window.count()) + "ms");
    for (const auto& r : durability_rows()) {
        EXPECT_FALSE(r.doc.empty()) << r.key;
        EXPECT_LT(r.minimum, r.maximum) << r.key;
    }
}

TEST(StoreRows, assign_their_members_and_say_the_defaults_of_the_struct) {
    DiskSettings settings;
    EXPECT_EQ(row(store_rows(), "bytes_max").default_text, std::to_string(settings.bytes_max >> 30) + "GiB");
    EXPECT_EQ(row(store_rows(), "free_min").default_text, std::to_string(settings.free_min >> 20) + "MiB");
    row(store_rows(), "bytes_max").assign(&settings, std::int64_t{1 << 30});
    row(store_rows(), "free_min").assign(&settings, std::int64_t{5});
    EXPECT_EQ(settings.bytes_max, std::uint64_t{1} << 30);
    EXPECT_EQ(settings.free_min, 5U);
}

}  // namespace
}  // namespace sluice::store
