#pragma once
/// ModuleLoader: finds the shared module of a bridge's `type`. A broker whose config names no bridge never
/// loads one, nor the libraries that it links.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "bridge/connector.hpp"

namespace sluice::bridge {

/// `../lib/sluice` beside the running program, then `/usr/lib/sluice`.
std::vector<std::filesystem::path> default_module_folders();

/// One thread uses it, at start and on reload. A module stays loaded to the end of the process: client
/// libraries leave threads and exit handlers behind that must not lose their code.
class ModuleLoader {
  public:
    explicit ModuleLoader(std::vector<std::filesystem::path> folders = default_module_folders())
        : folders_(std::move(folders)) {}

    /// The module of `bridge-<type>.so`, loaded once. The error is one line: what is missing or does not fit,
    /// where it was looked for, and what there is instead.
    Result<const ConnectorModule*, std::string> load(std::string_view type);

    /// The types that could be loaded, sorted, each once.
    std::vector<std::string> installed() const;

  private:
    std::vector<std::filesystem::path> folders_;
    std::map<std::string, const ConnectorModule*, std::less<>> loaded_;
};

}  // namespace sluice::bridge
