#pragma once
/// The form of a template: text with placeholders in braces, `{NAME}` or `{NAME|FALLBACK}`; `{{` and `}}` are
/// literal braces. What the names mean is another's matter.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace sluice::bridge {

struct Placeholder {
    std::string_view name;
    std::optional<std::string> fallback;
    std::size_t at = 0;  ///< of the name
};

/// Reads a template once, left to right: literal(), then a placeholder, and so on until at_end(). Errors name
/// column (from 1), problem and expectation. The text outlives it.
class TemplateReader {
  public:
    explicit TemplateReader(std::string_view text) : text_(text) {}

    bool at_end() const { return at_ == text_.size(); }
    /// Up to the next placeholder, or the end; may be empty.
    Result<std::string, std::string> literal();
    /// Behind literal(), not at_end(): where the name of the placeholder begins.
    std::size_t name_at() const { return at_ + 1; }
    /// The placeholder, when its name has neither braces nor a bar.
    Result<Placeholder, std::string> plain();
    /// Of a placeholder whose name has been read up to `at` by somebody else: the fallback, and goes on.
    Result<std::optional<std::string>, std::string> rest(std::size_t at);

    std::string_view text() const { return text_; }
    static Err<std::string> fail(std::size_t at, std::string_view what);

  private:
    std::string_view text_;
    std::size_t at_ = 0;
};

/// "N]" of a name such as "topic[2]", as a number up to 65535; nothing when it is not of that form.
std::optional<std::size_t> parse_level(std::string_view digits_and_bracket);

}  // namespace sluice::bridge
