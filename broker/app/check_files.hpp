#pragma once
/// What a settings file cannot show by itself: whether the files that it names exist and are what they should
/// be.
#include <string>
#include <vector>

#include "app/config.hpp"

namespace sluice::app {

/// Loads users, rights, certificates and connectors as the start would, and keeps nothing. Opens no socket
/// and writes no file. One line for each thing that is wrong.
std::vector<std::string> check_files(const Config& config, const ModuleSource& modules);

}  // namespace sluice::app
