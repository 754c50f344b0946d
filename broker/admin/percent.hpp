#pragma once
/// Percent-encoding of one part of a path or a query [RFC 3986 2.1].
#include <optional>
#include <string>
#include <string_view>

namespace sluice::admin {

/// All but letters, digits and "-._~" encoded.
std::string encode_percent(std::string_view text);
/// Nothing when a '%' is not followed by two hexadecimal digits. Any bytes may come out.
std::optional<std::string> decode_percent(std::string_view text);

}  // namespace sluice::admin
