#pragma once
/// Topic names and topic filters: their form, and whether they match [MQTT5 4.7].
#include <cstddef>
#include <string_view>

namespace sluice::wire {

constexpr std::size_t topic_bytes_max = 65535;

/// UTF-8 as MQTT wants it: well formed, no U+0000, no surrogates [MQTT-1.5.4-1, -2].
bool is_mqtt_utf8(std::string_view text);

/// Well-formed UTF-8, U+0000 included: what a payload may be whose format indicator is 1 [MQTT5 3.3.2.3.2].
bool is_utf8(std::string_view text);

/// A topic that may be published to: 1 to 65535 bytes, no '+' or '#', no U+0000 [MQTT-4.7.0-1, 4.7.3-1, -2,
/// -3].
bool is_topic_name(std::string_view topic);

/// A well-formed filter: wildcards alone in their level, '#' only last [MQTT-4.7.1-1, -2]. "$share/..." is
/// judged by parse_share.
bool is_topic_filter(std::string_view filter);

struct ShareName {
    std::string_view group;   ///< empty when the filter is not shared
    std::string_view filter;  ///< what is matched
    bool valid = true;        ///< false for a "$share" filter of bad form [MQTT-4.8.2-1, -2]
};
ShareName parse_share(std::string_view filter);

/// Whether a valid filter matches a valid topic; a leading wildcard never matches a topic that begins with
/// '$' [MQTT-4.7.2-1].
bool filter_matches(std::string_view filter, std::string_view topic);

/// The number of levels: '/' count plus one.
std::size_t level_count(std::string_view topic);

}  // namespace sluice::wire
