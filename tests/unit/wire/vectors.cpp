#include "vectors.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/hex.hpp"

namespace sluice::test {
namespace {

const std::filesystem::path folder = std::filesystem::path(SLUICE_SOURCE_DIR) / "tests/vectors/wire";

wire::Version version_of(const std::string& text) {
    if (text == "3.1") return wire::Version::v3_1;
    if (text == "3.1.1") return wire::Version::v3_1_1;
    CHECK(text == "5");
    return wire::Version::v5;
}

}  // namespace

std::vector<std::string> vector_files() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".json") names.push_back(entry.path().stem());
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<Vector> load_vectors(const std::string& file) {
    std::ifstream in(folder / (file + ".json"));
    std::vector<Vector> vectors;
    for (const auto& row : nlohmann::json::parse(in)) {
        vectors.push_back({row.at("name"), version_of(row.at("version")),
                           hex(row.at("hex").get<std::string>()), row.at("expect"), row.value("id", ""),
                           row.value("canonical", true)});
    }
    return vectors;
}

}  // namespace sluice::test
