#include "bridge/module_loader.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace sluice::bridge {
namespace {

TEST(ModuleLoader, says_what_is_missing_where_and_what_there_is) {
    const auto folder = std::filesystem::path(::testing::TempDir()) / "sluice-modules";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "bridge-broken.so") << "not a module";
    std::ofstream(folder / "unrelated.so") << "x";
    ModuleLoader loader({folder});
    EXPECT_EQ(loader.installed(), std::vector<std::string>{"broken"});
    const auto missing = loader.load("kafka");
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error(), "the bridge type 'kafka' is not installed (bridge-kafka.so is not in " +
                                   folder.string() + "); installed: broken");
    const auto broken = loader.load("broken");
    ASSERT_FALSE(broken.ok());
    EXPECT_NE(broken.error().find("bridge-broken.so"), std::string::npos) << broken.error();
    std::filesystem::remove_all(folder);
}

TEST(ModuleLoader, a_type_cannot_lead_out_of_the_folder) {
    ModuleLoader loader({SLUICE_BINARY_DIR "/lib/sluice"});
    for (const char* type : {"", "../x", "a/b", "KAFKA", "a b"}) EXPECT_FALSE(loader.load(type).ok()) << type;
}

TEST(ModuleLoader, every_installed_module_loads_and_its_rows_are_sound) {
    ModuleLoader loader({SLUICE_BINARY_DIR "/lib/sluice"});
    for (const auto& type : loader.installed()) {
        const auto module = loader.load(type);
        ASSERT_TRUE(module.ok()) << module.error();
        EXPECT_EQ(*loader.load(type), *module) << "loaded twice";
        for (const auto rows : {(*module)->bridge_rows(), (*module)->route_rows()}) {
            EXPECT_FALSE(rows.empty());
            for (const auto& row : rows) {
                EXPECT_FALSE(row.doc.empty()) << row.key;
                EXPECT_NE(row.assign.assign, nullptr) << row.key;
                EXPECT_LE(row.minimum, row.maximum) << row.key;
                EXPECT_EQ(row.kind == SettingKind::choice, !row.choices.empty()) << row.key;
            }
        }
        EXPECT_NE((*module)->make_bridge_settings(), nullptr);
        EXPECT_NE((*module)->make_route_settings(), nullptr);
    }
}

}  // namespace
}  // namespace sluice::bridge
