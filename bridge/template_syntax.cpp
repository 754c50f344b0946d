#include "bridge/template_syntax.hpp"

#include <fmt/format.h>

#include <charconv>

namespace sluice::bridge {
namespace {

constexpr std::size_t level_max = 65535;
constexpr std::string_view not_closed = "'{' is not closed; expected '}', or write '{{' for a brace";

}  // namespace

Err<std::string> TemplateReader::fail(std::size_t at, std::string_view what) {
    return Err{fmt::format("column {}: {}", at + 1, what)};
}

Result<std::string, std::string> TemplateReader::literal() {
    std::string out;
    while (!at_end()) {
        const auto end = std::min(text_.find_first_of("{}", at_), text_.size());
        out += text_.substr(at_, end - at_);
        at_ = end;
        if (at_end()) break;
        const bool is_doubled = text_.substr(at_ + 1, 1) == text_.substr(at_, 1);
        if (!is_doubled && text_[at_] == '{') break;
        if (!is_doubled) return fail(at_, "'}' without a '{'; write '}}' for a brace");
        out += text_[at_];
        at_ += 2;
    }
    return out;
}

Result<Placeholder, std::string> TemplateReader::plain() {
    Placeholder found{.name = {}, .fallback = {}, .at = name_at()};
    const auto end = std::min(text_.find_first_of("{}|", found.at), text_.size());
    found.name = text_.substr(found.at, end - found.at);
    auto fallback = rest(end);
    if (!fallback) return Err{fallback.error()};
    found.fallback = std::move(fallback).value();
    return found;
}

Result<std::optional<std::string>, std::string> TemplateReader::rest(std::size_t at) {
    std::optional<std::string> fallback;
    if (at < text_.size() && text_[at] == '|') {
        const auto end = std::min(text_.find_first_of("{}", at), text_.size());
        fallback = text_.substr(at + 1, end - at - 1);
        at = end;
    }
    if (at >= text_.size()) return fail(at_, not_closed);
    if (text_[at] == '{') return fail(at, "'{' inside of a placeholder; expected '}' before it");
    if (text_[at] != '}') return fail(at, "expected '.', '[', '|' or '}'");
    at_ = at + 1;
    return fallback;
}

std::optional<std::size_t> parse_level(std::string_view text) {
    std::size_t level = 0;
    const auto* last = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), last, level);
    if (error != std::errc{} || stop + 1 != last || *stop != ']' || level > level_max) return std::nullopt;
    return level;
}

}  // namespace sluice::bridge
