#include "wire/topic.hpp"

#include <algorithm>

namespace sluice::wire {
namespace {

constexpr std::string_view share_word = "$share";

bool has(std::string_view text, char c) {
    return text.find(c) != std::string_view::npos;
}
bool has_legal_size(std::string_view topic) {
    return !topic.empty() && topic.size() <= topic_bytes_max;  // [MQTT-4.7.3-1], [MQTT-4.7.3-3]
}
/// Takes the first level off the front; `last` tells whether it was the only one left.
std::string_view cut_level(std::string_view& text, bool& last) {
    const std::size_t slash = text.find('/');
    last = slash == std::string_view::npos;
    const std::string_view level = text.substr(0, slash);
    text = last ? std::string_view{} : text.substr(slash + 1);
    return level;
}

}  // namespace

bool is_topic_name(std::string_view topic) {
    return has_legal_size(topic) && !has(topic, '+') && !has(topic, '#') &&  // [MQTT-4.7.0-1]
           !has(topic, '\0');                                                // [MQTT-4.7.3-2]
}

bool is_topic_filter(std::string_view filter) {
    if (!has_legal_size(filter) || has(filter, '\0')) return false;  // [MQTT-4.7.3-2]
    for (bool last = false; !last;) {
        const std::string_view level = cut_level(filter, last);
        if (has(level, '#') && (level.size() != 1 || !last)) return false;  // [MQTT-4.7.1-1]
        if (has(level, '+') && level.size() != 1) return false;             // [MQTT-4.7.1-2]
    }
    return true;
}

ShareName parse_share(std::string_view filter) {
    ShareName share{{}, filter, true};
    if (!filter.starts_with(share_word)) return share;
    std::string_view rest = filter.substr(share_word.size());
    if (!rest.empty() && rest.front() != '/') return share;  // "$shared/..." is a topic like any other
    share.valid = false;
    if (rest.empty()) return share;
    rest.remove_prefix(1);
    bool last = false;
    share.group = cut_level(rest, last);
    share.filter = rest;
    share.valid = !share.group.empty() && !last && is_topic_filter(rest) &&  // [MQTT-4.8.2-2]
                  !has(share.group, '+') && !has(share.group, '#');          // [MQTT-4.8.2-1]
    return share;
}

bool filter_matches(std::string_view filter, std::string_view topic) {
    if (filter.empty() || topic.empty()) return false;
    const bool leading_wildcard = filter.front() == '+' || filter.front() == '#';
    if (topic.front() == '$' && leading_wildcard) return false;  // [MQTT-4.7.2-1]
    // Byte by byte [MQTT-4.7.3-4]; `f` stands at the start of a level or inside one that was equal so far.
    std::size_t f = 0, t = 0;
    while (f < filter.size()) {
        const char c = filter[f];
        if (c == '#') return true;
        if (c == '+') {
            while (t < topic.size() && topic[t] != '/') ++t;
            ++f;
        } else if (t < topic.size() && c == topic[t]) {
            ++f, ++t;
        } else {
            // "a/#" also matches "a": the '#' stands for the parent too.
            return t == topic.size() && filter.substr(f) == "/#";
        }
    }
    return t == topic.size();
}

std::size_t level_count(std::string_view topic) {
    return 1 + static_cast<std::size_t>(std::count(topic.begin(), topic.end(), '/'));
}

}  // namespace sluice::wire
