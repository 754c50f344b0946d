#include "app/config_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "app/config_value.hpp"

namespace sluice::app {
namespace {

std::string join(const std::string& name, std::string_view key) {
    return name.empty() ? std::string(key) : fmt::format("{}.{}", name, key);
}

bool contains(std::span<const std::string_view> keys, std::string_view key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Keys come from the file: what is shown of them is one short line.
std::string printable(std::string_view key) {
    constexpr std::size_t shown_max = 64;
    std::string out;
    for (const char c : key.substr(0, shown_max))
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out;
}

std::vector<ConfigError> in_order(std::vector<ConfigError> list) {
    std::stable_sort(list.begin(), list.end(),
                     [](const ConfigError& a, const ConfigError& b) { return a.place < b.place; });
    return list;
}

}  // namespace

/// What read_rows carries through one table and the tables below it.
struct ConfigReader::Walk {
    const std::string& name;
    std::span<const Target> targets;
    std::span<const std::string_view> tables;
    UnknownKeys unknown;
    std::set<std::string, std::less<>> seen;

    std::pair<const SettingRow*, void*> find(std::string_view key) const {
        for (const Target& target : targets) {
            for (const SettingRow& row : target.rows) {
                if (row.key == key) return {&row, target.settings};
            }
        }
        return {nullptr, nullptr};
    }
    /// Whether rows lie below this key: it must be a table then.
    bool is_prefix(std::string_view key) const {
        const std::string prefix = std::string(key) + '.';
        return std::any_of(targets.begin(), targets.end(), [&](const Target& target) {
            return std::any_of(target.rows.begin(), target.rows.end(),
                               [&](const SettingRow& row) { return row.key.starts_with(prefix); });
        });
    }
    /// The keys that may stand in the table with this prefix ("" or "tls.").
    std::vector<std::string_view> known_keys(std::string_view prefix) const {
        std::vector<std::string_view> keys;
        for (const Target& target : targets) {
            for (const SettingRow& row : target.rows) {
                if (!row.key.starts_with(prefix)) continue;
                const std::string_view rest = row.key.substr(prefix.size());
                const std::string_view key = rest.substr(0, rest.find('.'));
                if (!contains(keys, key)) keys.push_back(key);
            }
        }
        if (prefix.empty()) keys.insert(keys.end(), tables.begin(), tables.end());
        return keys;
    }
};

ConfigReader::ConfigReader(std::string file)
    : file_(std::move(file)), folder_(std::filesystem::path(file_).parent_path().string()) {}

void ConfigReader::read_rows(const TomlNode& table, const std::string& name, std::span<const Target> targets,
                             std::span<const std::string_view> tables, UnknownKeys unknown) {
    Walk walk{name, targets, tables, unknown, {}};
    read_table(table, "", walk);
    for (const Target& target : targets) {
        for (const SettingRow& row : target.rows) {
            if (!row.required || walk.seen.contains(row.key)) continue;
            error(table.place, join(name, row.key), "is missing", "expected " + describe_values(row));
        }
    }
}

void ConfigReader::read_rows(const TomlNode& table, const std::string& name,
                             std::initializer_list<Target> targets,
                             std::initializer_list<std::string_view> tables, UnknownKeys unknown) {
    read_rows(table, name, std::span(targets.begin(), targets.size()),
              std::span(tables.begin(), tables.size()), unknown);
}

void ConfigReader::read_table(const TomlNode& table, const std::string& prefix, Walk& walk) {
    for (const TomlNode& node : table.children) {
        if (prefix.empty() && contains(walk.tables, node.key)) continue;
        const std::string key = prefix + node.key;
        const auto [row, settings] = walk.find(key);
        if (row != nullptr) {
            walk.seen.insert(key);
            const auto value = read_value(*row, node, folder_);
            if (value) {
                row->assign(settings, *value);
            } else {
                error(value.error().place, join(walk.name, key), value.error().problem,
                      value.error().expected);
            }
        } else if (walk.is_prefix(key)) {
            if (node.kind == TomlNode::Kind::table) {
                read_table(node, key + '.', walk);
            } else {
                error(node.place, join(walk.name, key), fmt::format("is {}", node.kind_name()),
                      "expected a table");
            }
        } else if (walk.unknown == UnknownKeys::are_errors) {
            report_unknown(node, prefix, walk);
        }
    }
}

void ConfigReader::report_unknown(const TomlNode& node, const std::string& prefix, const Walk& walk) {
    const auto known = walk.known_keys(prefix);
    const std::string_view nearest = nearest_key(node.key, known);
    const std::string expected =
        nearest.empty() ? fmt::format("expected one of: {}", fmt::join(known, ", "))
                        : fmt::format("did you mean `{}`?", join(walk.name, prefix + std::string(nearest)));
    error(node.key_place, join(walk.name, prefix + printable(node.key)), "is not known", expected);
}

const TomlNode* ConfigReader::find_table(const TomlNode& parent, const std::string& parent_name,
                                         std::string_view key) {
    const TomlNode* node = parent.find(key);
    if (node == nullptr || node->kind == TomlNode::Kind::table) return node;
    const std::string name = join(parent_name, key);
    error(node->place, name, fmt::format("is {}", node->kind_name()),
          fmt::format("expected a table: [{}]", name));
    return nullptr;
}

std::vector<const TomlNode*> ConfigReader::find_tables(const TomlNode& parent, const std::string& parent_name,
                                                       std::string_view key) {
    std::vector<const TomlNode*> tables;
    const TomlNode* node = parent.find(key);
    if (node == nullptr) return tables;
    const std::string name = join(parent_name, key);
    const auto refuse = [&](const TomlNode& what) {
        error(what.place, name, fmt::format("is {}", what.kind_name()),
              fmt::format("expected an array of tables: [[{}]]", name));
    };
    if (node->kind != TomlNode::Kind::array) {
        refuse(*node);
        return tables;
    }
    for (const TomlNode& item : node->children) {
        if (item.kind == TomlNode::Kind::table) {
            tables.push_back(&item);
        } else {
            refuse(item);
        }
    }
    return tables;
}

void ConfigReader::error(Place place, std::string key, std::string problem, std::string expected) {
    errors_.push_back({file_, place, std::move(key), std::move(problem), std::move(expected)});
}

void ConfigReader::warn(Place place, std::string key, std::string problem, std::string expected) {
    warnings_.push_back({file_, place, std::move(key), std::move(problem), std::move(expected)});
}

std::string ConfigReader::place_text(Place place) const {
    return fmt::format("{}:{}", file_, place.line);
}

std::vector<ConfigError> ConfigReader::take_errors() {
    return in_order(std::move(errors_));
}
std::vector<ConfigError> ConfigReader::take_warnings() {
    return in_order(std::move(warnings_));
}

}  // namespace sluice::app
