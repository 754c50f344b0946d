#pragma once
/// How two topic filters relate. Both are valid (wire::is_topic_filter).
#include <string_view>

namespace sluice::auth {

/// Whether some topic matches both.
bool filters_overlap(std::string_view a, std::string_view b);

/// Whether `wide` surely matches every topic that `narrow` matches. Errs on the side of no (for filters that
/// say the same in different words, such as `#` and `+/#`).
bool filter_covers(std::string_view wide, std::string_view narrow);

}  // namespace sluice::auth
