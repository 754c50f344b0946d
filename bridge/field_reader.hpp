#pragma once
/// FieldReader: what conditions and templates share of their grammar: names, quoted texts, and paths into a
/// JSON payload.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/payload_json.hpp"

namespace sluice::bridge {

/// Goes through a text of the config from left to right. The first mistake is kept, and what is read behind
/// it means nothing. Borrows the text.
class FieldReader {
  public:
    explicit FieldReader(std::string_view text, std::size_t at = 0) : text_(text), at_(at) {}

    std::size_t at() const { return at_; }
    /// "column 5: expected a name"; none while all went well.
    const std::optional<std::string>& error() const { return error_; }
    void fail(std::string_view what) { fail_at(at_, what); }
    void fail_at(std::size_t at, std::string_view what);

    /// The next character behind spaces; '\0' at the end.
    char peek();
    bool take(char c);
    std::string_view peek_word();
    bool take_word(std::string_view word);

    /// At the quote, of either kind: the text; a backslash takes the next character as it is.
    std::optional<std::string> read_quoted();
    /// Behind '[': a number and ']'.
    std::optional<std::size_t> read_index();
    /// Behind '.'.
    std::optional<std::string> read_name();
    /// Behind '[': a quoted name and ']'.
    std::optional<std::string> read_bracket_name();
    /// Behind the word "payload": `.NAME`, `[N]` and `["NAME"]` as long as there are any; none is an empty
    /// path. nullopt after a mistake.
    std::optional<JsonPath> read_path();

  protected:
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
    /// '-' too: there is no arithmetic that it could be mistaken for, and properties are often named so.
    static bool is_name_char(char c) { return is_name_start(c) || is_digit(c) || c == '-'; }
    /// Whether the very next character is that one.
    bool at_char(char c) const { return at_ < text_.size() && text_[at_] == c; }

    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<std::string> error_;

  private:
    bool read_step(JsonStep& step);
};

}  // namespace sluice::bridge
