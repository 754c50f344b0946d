#pragma once
/// A second opinion on topic matching, written from the specification's prose and nothing else: recursive,
/// slow and obvious. Tests compare the broker's indexes with it.
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::test {

inline std::vector<std::string> split_levels(std::string_view text) {
    std::vector<std::string> levels(1);
    for (const char c : text) {
        if (c == '/') {
            levels.emplace_back();
        } else {
            levels.back() += c;
        }
    }
    return levels;
}

inline bool levels_match(const std::vector<std::string>& filter, std::size_t f,
                         const std::vector<std::string>& topic, std::size_t t) {
    if (f == filter.size()) return t == topic.size();
    if (filter[f] == "#") return true;
    if (t == topic.size()) return false;
    if (filter[f] != "+" && filter[f] != topic[t]) return false;
    if (f + 2 == filter.size() && filter[f + 1] == "#" && t + 1 == topic.size()) return true;
    return levels_match(filter, f + 1, topic, t + 1);
}

inline bool oracle_matches(std::string_view filter, std::string_view topic) {
    if (topic.substr(0, 1) == "$" && (filter.substr(0, 1) == "+" || filter.substr(0, 1) == "#")) return false;
    return levels_match(split_levels(filter), 0, split_levels(topic), 0);
}

/// Random topics and filters from a small vocabulary, so that they meet often. Empty levels, '$' and levels
/// around '/' in byte order ("a!", "a0") are among them.
class TopicMaker {
  public:
    explicit TopicMaker(std::uint64_t seed) : random_(seed) {}

    std::size_t below(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
    }
    std::string topic() {
        std::string text;
        do {
            text = level();
            for (std::size_t more = below(5); more > 0; --more) text += "/" + level();
        } while (text.empty());
        return text;
    }
    std::string filter() {
        std::string text;
        do {
            text = below(4) == 0 ? "+" : level();
            for (std::size_t more = below(5); more > 0; --more) text += below(3) == 0 ? "/+" : "/" + level();
            if (below(4) == 0) text = below(5) == 0 ? "#" : text + "/#";
        } while (text.empty());
        return text;
    }

  private:
    std::string level() {
        static const char* const words[] = {
            "a", "b", "a!", "a0", "", "$x", "$", "b\xff", "a level longer than a node holds"};
        return words[below(std::size(words))];
    }
    std::mt19937_64 random_;
};

/// The seed of a randomised test: from the environment (SLUICE_SEED) to repeat a failure, else by chance.
inline std::uint64_t test_seed() {
    if (const char* given = std::getenv("SLUICE_SEED")) return std::strtoull(given, nullptr, 10);
    return std::random_device{}();
}

}  // namespace sluice::test
