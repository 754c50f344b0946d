#pragma once
/// The seam between what `sluiced` is asked and what it does.
#include <functional>
#include <iosfwd>

#include "app/config.hpp"
#include "app/options.hpp"

namespace sluice::app {

/// Serves until a signal ends it; the exit code. A reload reads `options.config_path` again.
int run(const Options& options, Config config, const ModuleSource& modules);

/// All of main() but its arguments: answers what is only a question (--version, --settings, --check), else
/// starts the log, loads the settings and calls `serve`, which is run() in the real process.
using Serve = std::function<int(const Options&, Config)>;
int answer_command_line(int argc, const char* const* argv, const ModuleSource& modules, const Serve& serve,
                        std::ostream& out, std::ostream& err);

}  // namespace sluice::app
