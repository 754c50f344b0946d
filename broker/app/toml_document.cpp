#include "app/toml_document.hpp"

#include <algorithm>

// Without its exceptions and formatters the parser is smaller, and an error is a value.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#define TOML_UNDEF_MACROS 1
// toml++ asserts what its own parser has not made sure of ("[(" is enough), and in a release build tells the
// optimizer that it is so. Without both it reports a syntax error, which is what a bad file deserves.
#undef NDEBUG
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>

namespace sluice::app {
namespace {

// No setting lies deeper than bridge.route.x.y; the limit bounds our own recursion.
constexpr int depth_max = 16;

Place place_of(const toml::source_position& position) {
    return {position.line, position.column};
}

TomlNode convert(const toml::node& node, int depth);

void convert_table(const toml::table& table, TomlNode& out, int depth) {
    out.kind = TomlNode::Kind::table;
    out.children.reserve(table.size());
    for (const auto& [key, value] : table) {
        TomlNode child = convert(value, depth + 1);
        child.key = std::string(key.str());
        child.key_place = place_of(key.source().begin);
        if (child.place.line == 0) child.place = child.key_place;
        out.children.push_back(std::move(child));
    }
}

TomlNode convert(const toml::node& node, int depth) {
    TomlNode out;
    out.place = place_of(node.source().begin);
    if (depth > depth_max) {
        out.kind = TomlNode::Kind::other;
        out.text = "nested too deeply";
    } else if (const auto* table = node.as_table()) {
        convert_table(*table, out, depth);
    } else if (const auto* array = node.as_array()) {
        out.kind = TomlNode::Kind::array;
        for (const auto& item : *array) out.children.push_back(convert(item, depth + 1));
    } else if (const auto* text = node.as_string()) {
        out.kind = TomlNode::Kind::text;
        out.text = text->get();
    } else if (const auto* integer = node.as_integer()) {
        out.kind = TomlNode::Kind::integer;
        out.integer = integer->get();
    } else if (const auto* boolean = node.as_boolean()) {
        out.kind = TomlNode::Kind::boolean;
        out.boolean = boolean->get();
    } else {
        out.kind = TomlNode::Kind::other;
        out.text = node.is_floating_point() ? "a number with a fraction" : "a date or time";
    }
    return out;
}

}  // namespace

const TomlNode* TomlNode::find(std::string_view child_key) const {
    const auto it = std::find_if(children.begin(), children.end(),
                                 [&](const TomlNode& child) { return child.key == child_key; });
    return it == children.end() ? nullptr : &*it;
}

std::string_view TomlNode::kind_name() const {
    switch (kind) {
        case Kind::table:
            return "a table";
        case Kind::array:
            return "an array";
        case Kind::text:
            return "a string";
        case Kind::integer:
            return "an integer";
        case Kind::boolean:
            return "a boolean";
        case Kind::other:
            break;
    }
    return text;
}

Result<TomlNode, SyntaxError> parse_toml(std::string_view text) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        return Err{
            SyntaxError{place_of(parsed.error().source().begin), std::string(parsed.error().description())}};
    }
    TomlNode root;
    root.place = {1, 1};
    convert_table(parsed.table(), root, 0);
    return root;
}

}  // namespace sluice::app
