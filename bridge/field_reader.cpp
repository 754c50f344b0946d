#include "bridge/field_reader.hpp"

#include <fmt/format.h>

#include <charconv>

namespace sluice::bridge {
namespace {

constexpr std::size_t path_steps_max = 64;

}  // namespace

void FieldReader::fail_at(std::size_t at, std::string_view what) {
    if (!error_) error_ = fmt::format("column {}: {}", at + 1, what);
}

char FieldReader::peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
}

bool FieldReader::take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
}

std::string_view FieldReader::peek_word() {
    if (!is_name_start(peek())) return {};
    std::size_t end = at_;
    while (end < text_.size() && is_name_char(text_[end])) ++end;
    return text_.substr(at_, end - at_);
}

bool FieldReader::take_word(std::string_view word) {
    if (peek_word() != word) return false;
    at_ += word.size();
    return true;
}

std::optional<std::string> FieldReader::read_quoted() {
    const char quote = text_[at_];
    const std::size_t begin = at_++;
    std::string text;
    for (; at_ < text_.size(); ++at_) {
        if (text_[at_] == quote) {
            ++at_;
            return text;
        }
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
        text += text_[at_];
    }
    fail_at(begin, fmt::format("the text is not closed; expected {}", quote));
    return std::nullopt;
}

std::optional<std::size_t> FieldReader::read_index() {
    peek();
    std::size_t index = 0;
    const char* last = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(text_.data() + at_, last, index);
    if (error != std::errc{} || index > UINT32_MAX) {
        fail("expected a number from 0");
        return std::nullopt;
    }
    at_ = static_cast<std::size_t>(stop - text_.data());
    if (!take(']')) {
        fail("expected ']'");
        return std::nullopt;
    }
    return index;
}

std::optional<std::string> FieldReader::read_name() {
    std::size_t end = at_;
    while (end < text_.size() && is_name_char(text_[end])) ++end;
    if (end == at_) {
        fail("expected a name of letters, digits, '_' and '-'; write [\"...\"] for any other");
        return std::nullopt;
    }
    std::string name(text_.substr(at_, end - at_));
    at_ = end;
    return name;
}

std::optional<std::string> FieldReader::read_bracket_name() {
    auto name = read_quoted();
    if (!name) return std::nullopt;
    if (take(']')) return name;
    fail("expected ']'");
    return std::nullopt;
}

std::optional<JsonPath> FieldReader::read_path() {
    JsonPath path;
    while (at_char('.') || at_char('[')) {
        if (path.size() >= path_steps_max) {
            fail(fmt::format("the path is too deep; expected at most {} steps", path_steps_max));
            return std::nullopt;
        }
        if (!read_step(path.emplace_back())) return std::nullopt;
    }
    return path;
}

bool FieldReader::read_step(JsonStep& step) {
    std::optional<std::string> name;
    if (text_[at_++] == '.') {
        name = read_name();
    } else if (peek() == '"' || peek() == '\'') {
        name = read_bracket_name();
    } else {
        const auto index = read_index();
        step.is_index = true;
        step.index = index.value_or(0);
        return index.has_value();
    }
    if (name) step.key = std::move(*name);
    return name.has_value();
}

}  // namespace sluice::bridge
