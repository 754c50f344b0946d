#include "bridge/template_syntax.hpp"

#include <charconv>

#include <fmt/format.h>

namespace sluice::bridge {
namespace {

constexpr std::size_t level_max = 65535;

Err<std::string> fail(std::size_t at, std::string_view what) {
    return Err{fmt::format("column {}: {}", at + 1, what)};
}

void add_literal(std::vector<TemplatePiece>& pieces, std::string_view text) {
    if (pieces.empty() || pieces.back().is_placeholder) pieces.emplace_back();
    pieces.back().text += text;
}

}  // namespace

Result<std::vector<TemplatePiece>, std::string> split_template(std::string_view text) {
    std::vector<TemplatePiece> pieces;
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c != '{' && c != '}') {
            const auto end = std::min(text.find_first_of("{}", at), text.size());
            add_literal(pieces, text.substr(at, end - at));
            at = end;
            continue;
        }
        if (text.substr(at + 1, 1) == text.substr(at, 1)) {
            add_literal(pieces, text.substr(at, 1));
            at += 2;
            continue;
        }
        if (c == '}') return fail(at, "'}' without a '{'; write '}}' for a brace");
        const std::size_t begin = at + 1;
        const auto end = text.find('}', begin);
        if (end == std::string_view::npos)
            return fail(at, "'{' is not closed; expected '}', or write '{{' for a brace");
        std::string_view name = text.substr(begin, end - begin);
        if (const auto brace = name.find('{'); brace != std::string_view::npos)
            return fail(begin + brace, "'{' inside of a placeholder; expected '}' before it");
        TemplatePiece piece{.is_placeholder = true, .text = {}, .fallback = {}, .column = begin + 1};
        if (const auto bar = name.find('|'); bar != std::string_view::npos) {
            piece.fallback = name.substr(bar + 1);
            name = name.substr(0, bar);
        }
        piece.text = name;
        pieces.push_back(std::move(piece));
        at = end + 1;
    }
    return pieces;
}

std::optional<std::size_t> parse_level(std::string_view text) {
    std::size_t level = 0;
    const auto* last = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), last, level);
    if (error != std::errc{} || stop + 1 != last || *stop != ']' || level > level_max) return std::nullopt;
    return level;
}

}  // namespace sluice::bridge
