#pragma once
/// One value of the settings file: from TOML to what a row can assign.
#include <optional>
#include <string>
#include <string_view>

#include "app/toml_document.hpp"
#include "base/result.hpp"
#include "base/settings.hpp"

namespace sluice::app {

struct ValueProblem {
    Place place;
    std::string problem;
    std::string expected;
};

/// Converts and checks against the row: type, form, bounds, choices. `folder` is what relative paths are
/// relative to. Reads the file or the environment for secrets, and never repeats a secret in a message.
Result<SettingValue, ValueProblem> read_value(const SettingRow& row, const TomlNode& node,
                                              const std::string& folder);

/// "64KiB" to 65536, "7d" to milliseconds; nothing when the text is not of that form or too large.
std::optional<std::int64_t> parse_size(std::string_view text);
std::optional<std::int64_t> parse_duration_ms(std::string_view text);
/// The way back, in the largest unit that is exact.
std::string format_size(std::int64_t bytes);
std::string format_duration(std::int64_t ms);

/// "an integer from 0 to 65535", "one of \"tcp\", \"websocket\"": what a row takes, for errors and manual.
std::string describe_values(const SettingRow& row);

/// The path itself when absolute, else below `folder`.
std::string resolve_path(const std::string& path, const std::string& folder);

/// The nearest of `known`, when it is near enough to be a slip of the finger; else empty.
std::string_view nearest_key(std::string_view wrong, std::span<const std::string_view> known);

}  // namespace sluice::app
