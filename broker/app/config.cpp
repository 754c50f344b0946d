#include "app/config.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "app/config_reader.hpp"
#include "app/config_sections.hpp"

namespace sluice::app {
namespace {

constexpr std::size_t file_bytes_max = 4 << 20;
constexpr std::uint32_t shards_max = 64;

std::string absolute(const std::string& path) {
    std::error_code error;
    const auto full = std::filesystem::absolute(path, error);
    return error ? path : full.lexically_normal().string();
}

ConfigResult whole_file_error(const std::string& path, std::string problem, std::string expected) {
    return Err{std::vector<ConfigError>{{path, {}, "", std::move(problem), std::move(expected)}}};
}

void read_section(ConfigReader& reader, const TomlNode& root, const std::string& name,
                  std::span<const SettingRow> rows, void* settings) {
    if (const TomlNode* table = reader.find_table(root, "", name)) {
        reader.read_rows(*table, name, {{rows, settings}});
    }
}

}  // namespace

std::string to_string(const ConfigError& error) {
    std::string out = error.file;
    if (error.place.line != 0) out += fmt::format(":{}:{}", error.place.line, error.place.column);
    out += ": ";
    if (!error.key.empty()) out += fmt::format("key `{}`: ", error.key);
    out += error.problem;
    if (!error.expected.empty()) out += "; " + error.expected;
    // The parser may quote the file, line breaks and all; an error is one line.
    std::replace_if(
        out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    return out;
}

std::size_t shard_count(const Config& config, std::size_t cores) {
    if (config.threads != 0) return config.threads;
    return std::clamp<std::size_t>(cores, 2, shards_max + 1) - 1;
}

std::span<const SettingRow> broker_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"data_dir", path, "/var/lib/sluice", "The folder of sessions, retained messages, queues and spools.",
         bind_setting<&Config::data_dir>},
        {"threads", integer, "0",
         "Shards: threads that serve clients; 0: one per processor core but one, and at least one.",
         bind_setting<&Config::threads>, 0, shards_max},
        {"sys_interval",
         duration,
         "10s",
         "How often the $SYS topics are told anew, those that have changed; 0: there are none.",
         bind_setting<&Config::sys_interval>,
         0,
         24 * 3600 * 1000,
         {},
         false,
         false,
         1000},
    };
    return rows;
}

ConfigResult load_config(const std::string& path, const ModuleSource& modules) {
    std::ifstream stream(path, std::ios::binary);
    std::string text;
    char block[4096];
    while (stream && text.size() <= file_bytes_max) {
        stream.read(block, sizeof block);
        text.append(block, static_cast<std::size_t>(stream.gcount()));
    }
    if (!stream.eof()) {
        const std::string why = text.size() > file_bytes_max ? "is larger than 4 MiB" : std::strerror(errno);
        return whole_file_error(path, "cannot read the settings: " + why, "");
    }
    return parse_config(text, path, modules);
}

ConfigResult parse_config(std::string_view text, const std::string& path, const ModuleSource& modules) {
    const auto root = parse_toml(text);
    if (!root) {
        return Err{std::vector<ConfigError>{
            {path, root.error().place, "", "syntax error: " + root.error().problem, ""}}};
    }
    Config config;
    config.source = absolute(path);
    ConfigReader reader(config.source);
    // Only what is at the top is judged here; each table is read below by its own rows.
    reader.read_rows(*root, "", {},
                     {"broker", "listener", "auth", "limits", "durability", "store", "admin", "bridge"});
    read_section(reader, *root, "broker", broker_rows(), &config);
    read_section(reader, *root, "auth", auth::auth_rows(), &config.auth);
    read_section(reader, *root, "limits", shard::limits_rows(), &config.limits);
    read_section(reader, *root, "durability", store::durability_rows(), &config.durability);
    read_section(reader, *root, "store", store::store_rows(), &config.store);
    read_admin(reader, *root, config);
    read_listeners(reader, *root, config);
    read_bridges(reader, *root, modules, config);
    auto errors = reader.take_errors();
    if (!errors.empty()) return Err{std::move(errors)};
    config.warnings = reader.take_warnings();
    return config;
}

}  // namespace sluice::app
