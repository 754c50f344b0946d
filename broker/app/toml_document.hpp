#pragma once
/// A TOML file as a plain tree with positions, so that only one file of the broker compiles the parser.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace sluice::app {

struct Place {
    std::uint32_t line = 0;  ///< from 1; 0: no place in the file
    std::uint32_t column = 0;
    bool operator==(const Place&) const = default;
    auto operator<=>(const Place&) const = default;
};

struct TomlNode {
    enum class Kind : std::uint8_t { table, array, text, integer, boolean, other };

    Kind kind = Kind::table;
    std::string key;  ///< empty for the root and for elements of an array
    Place key_place;
    Place place;       ///< of the value; of a table its header
    std::string text;  ///< Kind::text; for Kind::other what it is: "a date"
    std::int64_t integer = 0;
    bool boolean = false;
    std::vector<TomlNode> children;  ///< of a table (not in the file's order) or an array

    const TomlNode* find(std::string_view child_key) const;
    /// "a string", "an integer", "an array of tables": for error messages.
    std::string_view kind_name() const;
};

struct SyntaxError {
    Place place;
    std::string problem;
};

/// One syntax error is all that the parser finds: it does not guess how the text goes on.
Result<TomlNode, SyntaxError> parse_toml(std::string_view text);

}  // namespace sluice::app
