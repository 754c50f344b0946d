#pragma once
/// The settings file: one TOML file in, one checked Config out, or every error in it.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/settings.hpp"
#include "app/toml_document.hpp"
#include "auth/settings.hpp"
#include "base/result.hpp"
#include "bridge/connector.hpp"
#include "bridge/settings.hpp"
#include "listener/settings.hpp"
#include "shard/limits.hpp"
#include "store/settings.hpp"

namespace sluice::app {

/// One thing that is wrong in the file.
struct ConfigError {
    std::string file;
    Place place;           ///< line 0: the file as a whole
    std::string key;       ///< "limits.packet_bytes_max"; empty for a syntax error
    std::string problem;   ///< what is wrong
    std::string expected;  ///< what would be right: "expected ...", "did you mean ...?"; may be empty
};

/// One line: FILE:LINE:COLUMN: key `limits.packet_bytes_max`: what is wrong; expected what.
std::string to_string(const ConfigError& error);

struct Config {
    std::string source;  ///< the file that it was read from, absolute

    std::string data_dir = "/var/lib/sluice";
    std::uint32_t threads = 0;              ///< shards; 0: see shard_count()
    std::chrono::seconds sys_interval{10};  ///< of the $SYS topics; 0: there are none

    /// Never empty: a file without any `[[listener]]` gets one on 127.0.0.1:1883 for anonymous clients, as
    /// every other default that is open to this machine only.
    std::vector<listener::ListenerSettings> listeners;
    auth::AuthSettings auth;
    shard::Limits limits;
    store::DurabilitySettings durability;
    store::DiskSettings store;
    std::optional<admin::AdminSettings> admin;  ///< none: no HTTP port
    std::vector<bridge::BridgeSettings> bridges;

    std::vector<ConfigError> warnings;  ///< legal, but hardly meant so
};

/// How many shards a machine with so many cores gets: what the file says, or all cores but one, which is left
/// to handshakes, the store and the bridges.
std::size_t shard_count(const Config& config, std::size_t cores);

/// `[broker]`: the keys that stand in Config itself.
std::span<const SettingRow> broker_rows();

/// Where the loader finds the modules of the bridge types that a file names.
struct ModuleSource {
    /// Null, and a reason in `error`, when there is none or it cannot be used.
    std::function<const bridge::ConnectorModule*(std::string_view type, std::string& error)> find_module;
    /// For messages: the types that could be named.
    std::function<std::vector<std::string>()> installed_types;
};

using ConfigResult = Result<Config, std::vector<ConfigError>>;

/// Reads and checks a file. Secrets given as `file:` or `env:` are resolved here. Relative paths are relative
/// to the folder of the file.
ConfigResult load_config(const std::string& path, const ModuleSource& modules);
/// The same for text that is already in memory; `path` is for messages and relative paths.
ConfigResult parse_config(std::string_view text, const std::string& path, const ModuleSource& modules);

/// The reference manual of all settings in Markdown, from the same rows that the loader reads; with the keys
/// of the given modules.
std::string render_settings_reference(std::span<const bridge::ConnectorModule* const> modules = {});

}  // namespace sluice::app
