#include "conversation.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

namespace sluice::test {
namespace {

std::string suffix_of(int level) {
    return level == 5 ? "" : level == 4 ? "_3_1_1" : "_3_1";
}

Conversation read_one(const std::string& file, const Json& row, int level) {
    Conversation one;
    one.level = level;
    one.name = row.at("name").get<std::string>() + suffix_of(level);
    one.file = file;
    for (const auto& [key, value] : row.items()) {
        static const std::set<std::string> known{"name", "doc",          "ids",   "levels",   "limits",
                                                 "slow", "known_broken", "steps", "passwords"};
        if (!known.contains(key)) throw std::runtime_error(file + ": " + one.name + ": unknown key " + key);
    }
    const Json limits = row.value("limits", Json::object());
    for (const auto& [key, value] : limits.items()) {
        one.limits += key + " = " + value.dump() + "\n";
    }
    if (row.value("passwords", false))
        one.limits +=
            "[auth]\npassword_file = \"" SLUICE_SOURCE_DIR "/tests/vectors/conversations/passwd\"\n";
    one.slow = row.value("slow", false);
    one.known_broken = row.value("known_broken", "");
    one.steps = row.at("steps");
    for (const Json& step : one.steps) one.restarts |= step.at(1) == "restart";
    return one;
}

std::vector<Conversation> read_all() {
    const auto folder = std::filesystem::path(SLUICE_SOURCE_DIR) / "tests/vectors/conversations";
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<Conversation> all;
    std::set<std::string> names;
    for (const auto& file : files) {
        std::ifstream in(file);
        for (const Json& row : Json::parse(in)) {
            for (const int level : row.value("levels", std::vector<int>{5})) {
                all.push_back(read_one(file.stem(), row, level));
                if (!names.insert(all.back().name).second)
                    throw std::runtime_error("two conversations are named " + all.back().name);
            }
        }
    }
    return all;
}

}  // namespace

const std::vector<Conversation>& all_conversations() {
    static const std::vector<Conversation> all = read_all();
    return all;
}

}  // namespace sluice::test
