#include <fmt/format.h>

#include <ostream>

#include "app/check_files.hpp"
#include "app/logging.hpp"
#include "app/run.hpp"

namespace sluice::app {
namespace {

int print_settings(const ModuleSource& modules, std::ostream& out) {
    std::vector<const bridge::ConnectorModule*> installed;
    const auto types = modules.installed_types ? modules.installed_types() : std::vector<std::string>();
    for (const std::string& type : types) {
        std::string why;
        if (const auto* module = modules.find_module(type, why)) installed.push_back(module);
    }
    out << render_settings_reference(installed);
    return exit_ok;
}

int check(const Options& options, const ModuleSource& modules, std::ostream& out, std::ostream& err) {
    const auto config = load_config(options.config_path, modules);
    if (!config) {
        for (const ConfigError& error : config.error()) err << to_string(error) << '\n';
        return exit_failed;
    }
    for (const ConfigError& warning : config->warnings) err << "warning: " << to_string(warning) << '\n';
    const auto wrong = check_files(*config, modules);
    for (const std::string& line : wrong) err << line << '\n';
    if (!wrong.empty()) return exit_failed;
    out << options.config_path << ": ok\n";
    return exit_ok;
}

int start(const Options& options, const ModuleSource& modules, const Serve& serve) {
    start_logging(find_log_form(), options.log_level);
    auto config = load_config(options.config_path, modules);
    if (!config) {
        for (const ConfigError& error : config.error()) log::error("config: " + to_string(error));
        return exit_failed;
    }
    for (const ConfigError& warning : config->warnings) log::warn("config: " + to_string(warning));
    return serve(options, std::move(config).value());
}

}  // namespace

int answer_command_line(int argc, const char* const* argv, const ModuleSource& modules, const Serve& serve,
                        std::ostream& out, std::ostream& err) {
    const auto options = parse_options(argc, argv, out, err);
    if (!options) return options.error();
    switch (options->task) {
        case Options::Task::print_version:
            out << "sluiced " SLUICE_VERSION "\n";
            return exit_ok;
        case Options::Task::print_settings:
            return print_settings(modules, out);
        case Options::Task::check:
            return check(*options, modules, out, err);
        case Options::Task::serve:
            break;
    }
    return start(*options, modules, serve);
}

}  // namespace sluice::app
