#include "app/options.hpp"

#include <CLI/CLI.hpp>
#include <map>
#include <ostream>

namespace sluice::app {

// The one file that sees CLI11 in sluiced: its exceptions end here.
Result<Options, int> parse_options(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
    Options options;
    bool check = false, version = false, settings = false;
    const std::map<std::string, log::Level> levels{{"debug", log::Level::debug},
                                                   {"info", log::Level::info},
                                                   {"warning", log::Level::warn},
                                                   {"error", log::Level::error}};
    std::string level = "info";

    CLI::App cli("The MQTT broker Sluice.", "sluiced");
    cli.add_option("--config", options.config_path, "The settings file")
        ->type_name("FILE")
        ->capture_default_str();
    auto* check_flag =
        cli.add_flag("--check", check, "Check the settings and all files that they name, then exit");
    auto* version_flag = cli.add_flag("--version", version, "Print the version, then exit");
    auto* settings_flag =
        cli.add_flag("--settings", settings, "Print the reference of all settings (Markdown), then exit");
    check_flag->excludes(version_flag)->excludes(settings_flag);
    version_flag->excludes(settings_flag);
    cli.add_option("--log-level", level, "The least that is logged")
        ->check(CLI::IsMember(levels))
        ->type_name("debug|info|warning|error")
        ->capture_default_str();
    try {
        cli.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        out << cli.help();
        return Err{exit_ok};
    } catch (const CLI::ParseError& wrong) {
        err << "sluiced: " << wrong.what() << "\nTry: sluiced --help\n";
        return Err{exit_usage};
    }
    options.log_level = levels.at(level);
    if (check) options.task = Options::Task::check;
    if (version) options.task = Options::Task::print_version;
    if (settings) options.task = Options::Task::print_settings;
    return options;
}

}  // namespace sluice::app
