/// Settings files as data: tests/vectors/config/good/*.toml load; each of bad/*.toml gives exactly the lines
/// of the .expected file beside it, and each of warn/*.toml loads with these warnings. After a change of
/// words run with SLUICE_WRITE_EXPECTED=1 and read the difference.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/config.hpp"
#include "fake_modules.hpp"

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

const fs::path folder = fs::path(SLUICE_SOURCE_DIR) / "tests/vectors/config";

std::vector<std::string> files_in(const char* sub) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder / sub)) {
        if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::string read(const fs::path& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

/// One per line, and without the path of this copy of the sources.
std::string lines_of(const std::vector<ConfigError>& errors) {
    std::string out;
    for (ConfigError error : errors) {
        error.file = fs::path(error.file).filename().string();
        std::string line = to_string(error);
        for (auto at = line.find(folder.string()); at != std::string::npos; at = line.find(folder.string())) {
            line.replace(at, folder.string().size(), "DIR");
        }
        EXPECT_EQ(line.find('\n'), std::string::npos) << line;
        out += line + '\n';
    }
    return out;
}

void expect_lines(const std::vector<ConfigError>& errors, const fs::path& path) {
    const std::string lines = lines_of(errors);
    if (std::getenv("SLUICE_WRITE_EXPECTED") != nullptr) std::ofstream(path, std::ios::binary) << lines;
    EXPECT_EQ(lines, read(path));
}

std::string name_of(const testing::TestParamInfo<std::string>& info) {
    return info.param;
}

class GoodConfig : public testing::TestWithParam<std::string> {};
TEST_P(GoodConfig, Loads) {
    const auto config = load_config((folder / "good" / (GetParam() + ".toml")).string(), fake_modules());
    ASSERT_TRUE(config.ok()) << lines_of(config.error());
}
INSTANTIATE_TEST_SUITE_P(Files, GoodConfig, testing::ValuesIn(files_in("good")), name_of);

class BadConfig : public testing::TestWithParam<std::string> {};
TEST_P(BadConfig, SaysWhatIsWrong) {
    const auto config = load_config((folder / "bad" / (GetParam() + ".toml")).string(), fake_modules());
    ASSERT_FALSE(config.ok());
    expect_lines(config.error(), folder / "bad" / (GetParam() + ".expected"));
}
INSTANTIATE_TEST_SUITE_P(Files, BadConfig, testing::ValuesIn(files_in("bad")), name_of);

class RiskyConfig : public testing::TestWithParam<std::string> {};
TEST_P(RiskyConfig, Warns) {
    const auto config = load_config((folder / "warn" / (GetParam() + ".toml")).string(), fake_modules());
    ASSERT_TRUE(config.ok()) << lines_of(config.error());
    expect_lines(config->warnings, folder / "warn" / (GetParam() + ".expected"));
}
INSTANTIATE_TEST_SUITE_P(Files, RiskyConfig, testing::ValuesIn(files_in("warn")), name_of);

}  // namespace
}  // namespace sluice::app
