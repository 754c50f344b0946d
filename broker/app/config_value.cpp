#include "app/config_value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "app/secret.hpp"

namespace sluice::app {
namespace {

struct Unit {
    std::string_view suffix;
    std::int64_t factor;
};
// Smallest first; what is exact in a larger unit is printed in it.
constexpr std::array size_units{Unit{"B", 1}, Unit{"KiB", 1LL << 10}, Unit{"MiB", 1LL << 20},
                                Unit{"GiB", 1LL << 30}, Unit{"TiB", 1LL << 40}};
constexpr std::array duration_units{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000},
                                    Unit{"d", 86'400'000}};
constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / 1000;

std::optional<std::int64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0) return {};
    const std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
    const auto unit =
        std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.suffix == suffix; });
    if (unit == units.end() || number > std::numeric_limits<std::int64_t>::max() / unit->factor) return {};
    return number * unit->factor;
}

std::string format_with_unit(std::int64_t value, std::span<const Unit> units) {
    const Unit* best = &units.front();
    for (const Unit& unit : units) {
        if (value != 0 && value % unit.factor == 0) best = &unit;
    }
    return fmt::format("{}{}", value / best->factor, best->suffix);
}

/// What the operator wrote, short and on one line.
std::string in_quotes(std::string_view text) {
    constexpr std::size_t shown_max = 40;
    std::string out = "\"";
    for (const char c : text.substr(0, shown_max))
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + (text.size() > shown_max ? "...\"" : "\"");
}

using Answer = Result<SettingValue, ValueProblem>;

Answer problem(const SettingRow& row, const TomlNode& node, std::string what) {
    return Err{ValueProblem{node.place, std::move(what), "expected " + describe_values(row)}};
}
Answer wrong_type(const SettingRow& row, const TomlNode& node) {
    return problem(row, node, fmt::format("is {}", node.kind_name()));
}

Answer read_number(const SettingRow& row, const TomlNode& node) {
    std::optional<std::int64_t> number;
    if (node.kind == TomlNode::Kind::integer) {
        number = node.integer;
        // A bare number is bytes or seconds; what is out of bounds anyhow must not overflow here.
        if (row.kind == SettingKind::duration)
            number = std::clamp(node.integer, -seconds_max, seconds_max) * 1000;
    } else if (node.kind == TomlNode::Kind::text && row.kind != SettingKind::integer) {
        number = row.kind == SettingKind::size ? parse_size(node.text) : parse_duration_ms(node.text);
        if (!number) {
            const auto noun = row.kind == SettingKind::size ? "a size" : "a duration";
            return problem(row, node, fmt::format("{} is not {}", in_quotes(node.text), noun));
        }
    } else {
        return wrong_type(row, node);
    }
    const auto refuse = [&](std::string_view why) {
        const bool text = node.kind == TomlNode::Kind::text;
        return problem(
            row, node,
            fmt::format("{} is {}", text ? in_quotes(node.text) : std::to_string(node.integer), why));
    };
    if (*number < row.minimum) return refuse("too small");
    if (*number > row.maximum) return refuse("too large");
    if (*number % row.step != 0) return refuse("not a whole multiple of " + format_duration(row.step));
    return SettingValue(*number);
}

Answer read_choice(const SettingRow& row, const TomlNode& node) {
    const auto it = std::find(row.choices.begin(), row.choices.end(), node.text);
    if (it == row.choices.end())
        return problem(row, node, fmt::format("{} is not a choice", in_quotes(node.text)));
    return SettingValue(std::int64_t{it - row.choices.begin()});
}

Answer read_path(const SettingRow& row, const TomlNode& node, const std::string& folder) {
    if (node.text.empty()) return problem(row, node, "is empty");
    if (node.text.find('\0') != std::string::npos) return problem(row, node, "has a NUL character");
    return SettingValue(resolve_path(node.text, folder));
}

Answer read_text(const SettingRow& row, const TomlNode& node, const std::string& folder) {
    if (node.kind != TomlNode::Kind::text) return wrong_type(row, node);
    if (row.kind == SettingKind::choice) return read_choice(row, node);
    if (row.kind == SettingKind::path) return read_path(row, node, folder);
    if (row.kind == SettingKind::secret) {
        auto secret = resolve_secret(node.text, folder);
        if (!secret) return Err{ValueProblem{node.place, secret.error(), "expected " + describe_values(row)}};
        return SettingValue(std::move(*secret));
    }
    if (row.required && node.text.empty()) return problem(row, node, "is empty");
    return SettingValue(node.text);
}

Answer read_list(const SettingRow& row, const TomlNode& node) {
    if (node.kind != TomlNode::Kind::array) return wrong_type(row, node);
    std::vector<std::string> list;
    for (const TomlNode& item : node.children) {
        if (item.kind != TomlNode::Kind::text) {
            return problem(row, item, fmt::format("has an element that is {}", item.kind_name()));
        }
        list.push_back(item.text);
    }
    if (row.required && list.empty()) return problem(row, node, "is empty");
    return SettingValue(std::move(list));
}

std::string describe_bounds(const SettingRow& row, std::string (*format)(std::int64_t)) {
    if (row.maximum == std::numeric_limits<std::int64_t>::max()) {
        return fmt::format("at least {}", format(row.minimum));
    }
    return fmt::format("from {} to {}", format(row.minimum), format(row.maximum));
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
    return parse_with_unit(text, size_units);
}
std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
    return parse_with_unit(text, duration_units);
}
std::string format_size(std::int64_t bytes) {
    return format_with_unit(bytes, size_units);
}
std::string format_duration(std::int64_t ms) {
    return format_with_unit(ms, duration_units);
}

std::string describe_values(const SettingRow& row) {
    switch (row.kind) {
        case SettingKind::text:
            return row.required ? "a string that is not empty" : "a string";
        case SettingKind::text_list:
            return row.required ? "an array of strings that is not empty" : "an array of strings";
        case SettingKind::boolean:
            return "true or false";
        case SettingKind::integer:
            return "an integer " + describe_bounds(row, [](std::int64_t n) { return std::to_string(n); });
        case SettingKind::size:
            return "bytes as an integer or as \"64KiB\", \"1MiB\", \"2GiB\", " +
                   describe_bounds(row, format_size);
        case SettingKind::duration:
            return "a duration as \"20ms\", \"10s\", \"5m\", \"12h\", \"7d\" or an integer of seconds, " +
                   describe_bounds(row, format_duration);
        case SettingKind::choice: {
            std::string out = "one of ";
            for (const auto& choice : row.choices) {
                out += fmt::format("{}\"{}\"", &choice == row.choices.data() ? "" : ", ", choice);
            }
            return out;
        }
        case SettingKind::secret:
            return "the secret itself, \"file:PATH\" or \"env:NAME\"";
        case SettingKind::path:
            return "a path";
    }
    return {};
}

Result<SettingValue, ValueProblem> read_value(const SettingRow& row, const TomlNode& node,
                                              const std::string& folder) {
    switch (row.kind) {
        case SettingKind::boolean:
            if (node.kind != TomlNode::Kind::boolean) return wrong_type(row, node);
            return SettingValue(node.boolean);
        case SettingKind::integer:
        case SettingKind::size:
        case SettingKind::duration:
            return read_number(row, node);
        case SettingKind::text_list:
            return read_list(row, node);
        default:
            return read_text(row, node, folder);
    }
}

std::string resolve_path(const std::string& path, const std::string& folder) {
    const std::filesystem::path given(path);
    if (given.is_absolute() || folder.empty()) return path;
    return (std::filesystem::path(folder) / given).lexically_normal().string();
}

/// Optimal string alignment: insert, delete, replace, and swap of neighbours cost one each.
static std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[a.size()][b.size()];
}

std::string_view nearest_key(std::string_view wrong, std::span<const std::string_view> known) {
    constexpr std::size_t key_bytes_max = 64;  // no key is longer; bounds the square below
    if (wrong.size() > key_bytes_max) return {};
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(1, wrong.size() / 3) + 1;
    for (const auto& key : known) {
        const std::size_t distance = edit_distance(wrong, key);
        if (distance < best_distance) {
            best = key;
            best_distance = distance;
        }
    }
    return best;
}

}  // namespace sluice::app
