#pragma once
/// The form of a template: text with placeholders in braces, `{NAME}` or `{NAME|FALLBACK}`; `{{` and `}}` are
/// literal braces. What the names mean is another's matter.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace sluice::bridge {

struct TemplatePiece {
    bool is_placeholder = false;
    std::string text;  ///< the literal, or the placeholder's name
    std::optional<std::string> fallback;
    std::size_t column = 0;  ///< from 1; of the name, for messages
};

/// The error names column (from 1), problem and expectation.
Result<std::vector<TemplatePiece>, std::string> split_template(std::string_view text);

/// "N]" of a name such as "topic[2]", as a number up to 65535; nothing when it is not of that form.
std::optional<std::size_t> parse_level(std::string_view digits_and_bracket);

}  // namespace sluice::bridge
