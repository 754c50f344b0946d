#pragma once
/// Walks the tables of a settings file by rows of settings and gathers everything that is wrong.
/// Knows no setting by name: which tables there are and what must fit together is said by its callers.
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "app/toml_document.hpp"
#include "base/settings.hpp"

namespace sluice::app {

class ConfigReader {
  public:
    /// `file` is absolute; its folder is what relative paths are relative to.
    explicit ConfigReader(std::string file);

    /// Rows and the struct that they assign to.
    struct Target {
        std::span<const SettingRow> rows;
        void* settings;
    };
    enum class UnknownKeys : std::uint8_t { are_errors, are_skipped };

    /// Assigns every key of the table to the first target that has a row for it. `name` is how the table is
    /// called in messages ("bridge.spool"); `tables` are keys that the caller reads itself. A row "tls.ca" is
    /// found as the key `ca` of a table `tls` below.
    void read_rows(const TomlNode& table, const std::string& name, std::span<const Target> targets,
                   std::span<const std::string_view> tables = {},
                   UnknownKeys unknown = UnknownKeys::are_errors);
    void read_rows(const TomlNode& table, const std::string& name, std::initializer_list<Target> targets,
                   std::initializer_list<std::string_view> tables = {},
                   UnknownKeys unknown = UnknownKeys::are_errors);

    /// The table below `parent`; null when there is none, or when something else has its name: an error.
    const TomlNode* find_table(const TomlNode& parent, const std::string& parent_name, std::string_view key);
    /// The same for an array of tables (`[[key]]`); empty when there is none.
    std::vector<const TomlNode*> find_tables(const TomlNode& parent, const std::string& parent_name,
                                             std::string_view key);

    void error(Place place, std::string key, std::string problem, std::string expected);
    void warn(Place place, std::string key, std::string problem, std::string expected);

    /// "/etc/sluice/sluice.toml:12", for messages long after the file was read.
    std::string place_text(Place place) const;
    const std::string& file() const { return file_; }

    /// In the order of the file.
    std::vector<ConfigError> take_errors();
    std::vector<ConfigError> take_warnings();

  private:
    struct Walk;
    void read_table(const TomlNode& table, const std::string& prefix, Walk& walk);
    void report_unknown(const TomlNode& node, const std::string& prefix, const Walk& walk);

    std::string file_;
    std::string folder_;
    std::vector<ConfigError> errors_;
    std::vector<ConfigError> warnings_;
};

}  // namespace sluice::app
