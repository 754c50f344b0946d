/// Topic checks and matching against plain ones that split into levels, UTF-8 against a plain decoder.
/// Input: a filter, a zero byte, a topic.
#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "wire/topic.hpp"

using namespace sluice;

namespace {

using Levels = std::vector<std::string>;

Levels levels_of(std::string_view text) {
    Levels levels(1);
    for (const char c : text) {
        if (c == '/') {
            levels.emplace_back();
        } else {
            levels.back() += c;
        }
    }
    return levels;
}

bool plain_is_filter(std::string_view filter) {
    const Levels levels = levels_of(filter);
    for (std::size_t i = 0; i < levels.size(); ++i) {
        const bool has_wildcard = levels[i].find_first_of("+#") != std::string::npos;
        if (has_wildcard && levels[i].size() > 1) return false;
        if (levels[i] == "#" && i + 1 != levels.size()) return false;
    }
    return !filter.empty() && filter.size() <= 65535 && filter.find('\0') == filter.npos;
}

bool plain_matches(const Levels& filter, const Levels& topic, std::size_t at = 0) {
    if (at == filter.size()) return at == topic.size();
    const bool leading = at == 0 && topic[0].starts_with('$');
    if (filter[at] == "#") return !leading;
    if (at == topic.size()) return false;
    if (filter[at] == "+") return !leading && plain_matches(filter, topic, at + 1);
    return filter[at] == topic[at] && plain_matches(filter, topic, at + 1);
}

bool plain_is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<std::uint8_t>(text[i++]);
        const int more = lead < 0x80   ? 0
                         : lead < 0xC0 ? -1
                         : lead < 0xE0 ? 1
                         : lead < 0xF0 ? 2
                         : lead < 0xF8 ? 3
                                       : -1;
        if (more < 0) return false;
        std::uint32_t c = more == 0 ? lead : lead & (0x3FU >> more);
        for (int k = 0; k < more; ++k) {
            if (i == text.size() || (text[i] & 0xC0) != 0x80) return false;
            c = c << 6 | (static_cast<std::uint8_t>(text[i++]) & 0x3F);
        }
        constexpr std::uint32_t least[] = {1, 0x80, 0x800, 0x10000};
        if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return false;
    }
    return true;
}

void check_share(std::string_view filter) {
    const wire::ShareName share = wire::parse_share(filter);
    const Levels levels = levels_of(filter);
    if (levels[0] != "$share") {
        CHECK(share.valid && share.group.empty() && share.filter == filter);
        return;
    }
    const bool valid = levels.size() >= 3 && !levels[1].empty() &&
                       levels[1].find_first_of("+#") == levels[1].npos &&
                       plain_is_filter(filter.substr(8 + levels[1].size()));
    CHECK(share.valid == valid);
    if (valid) CHECK("$share/" + std::string(share.group) + "/" + std::string(share.filter) == filter);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = as_text({data, size});
    CHECK(wire::is_mqtt_utf8(input) == plain_is_utf8(input));
    const std::size_t cut = input.find('\0');
    const std::string_view filter = input.substr(0, cut);
    const std::string_view topic = cut == input.npos ? std::string_view{} : input.substr(cut + 1);
    CHECK(wire::is_topic_filter(filter) == plain_is_filter(filter));
    CHECK(wire::level_count(filter) == levels_of(filter).size());
    check_share(filter);
    const bool is_name = plain_is_filter(topic) && topic.find_first_of("+#") == topic.npos;
    CHECK(wire::is_topic_name(topic) == is_name);
    if (plain_is_filter(filter) && is_name) {
        CHECK(wire::filter_matches(filter, topic) == plain_matches(levels_of(filter), levels_of(topic)));
    }
    return 0;
}
