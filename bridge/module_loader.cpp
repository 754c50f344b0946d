#include "bridge/module_loader.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sluice::bridge {
namespace {

constexpr std::string_view file_prefix = "bridge-", file_suffix = ".so";

/// A type becomes part of a file name: nothing in it may lead out of the folder.
bool is_type_name(std::string_view type) {
    return !type.empty() && type.size() <= 64 && std::all_of(type.begin(), type.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

std::string file_name(std::string_view type) {
    return fmt::format("{}{}{}", file_prefix, type, file_suffix);
}

std::string last_dl_error() {
    const char* text = ::dlerror();
    return text ? text : "unknown error of the dynamic linker";
}

/// What a loaded file must have before anything in it is called.
Result<const ConnectorModule*, std::string> check_module(const ConnectorModule* module, std::string_view type,
                                                         const std::string& path) {
    if (module->abi != connector_abi) {
        return Err{
            fmt::format("{}: built for connector interface {}, this program has {}; install the bridge "
                        "package of the same version as the broker",
                        path, module->abi, connector_abi)};
    }
    if (module->type != type)
        return Err{fmt::format("{}: holds the type '{}', expected '{}'", path, module->type, type)};
    if (!module->set_log_sink || !module->set_clock_history || !module->bridge_rows || !module->route_rows ||
        !module->make_bridge_settings || !module->make_route_settings || !module->create)
        return Err{fmt::format("{}: the module is incomplete", path)};
    return module;
}

Result<const ConnectorModule*, std::string> open_module(const std::string& path, std::string_view type) {
    ::dlerror();
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) return Err{fmt::format("cannot load the bridge module: {}", last_dl_error())};
    const void* symbol = ::dlsym(handle, "sluice_connector_module");
    if (!symbol) {
        return Err{fmt::format("{}: no bridge module (the symbol sluice_connector_module is missing)", path)};
    }
    return check_module(static_cast<const ConnectorModule*>(symbol), type, path);
}

}  // namespace

std::vector<std::filesystem::path> default_module_folders() {
    std::vector<std::filesystem::path> folders;
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (!error) folders.push_back((self.parent_path() / "../lib/sluice").lexically_normal());
    folders.emplace_back("/usr/lib/sluice");
    return folders;
}

Result<const ConnectorModule*, std::string> ModuleLoader::load(std::string_view type) {
    if (!is_type_name(type)) {
        return Err{
            fmt::format("'{}' is no bridge type; expected one of: {}", type, fmt::join(installed(), ", "))};
    }
    if (const auto found = loaded_.find(type); found != loaded_.end()) return found->second;
    std::vector<std::string> looked_in;
    for (const auto& folder : folders_) {
        const auto path = folder / file_name(type);
        std::error_code error;
        if (!std::filesystem::exists(path, error)) {
            looked_in.push_back(folder.string());
            continue;
        }
        auto module = open_module(path.string(), type);
        if (!module) return module;
        (*module)->set_log_sink(&log::write);
        (*module)->set_clock_history(ClockHistory::instance());
        loaded_.emplace(type, *module);
        return module;
    }
    const auto others = installed();
    return Err{fmt::format("the bridge type '{}' is not installed ({} is not in {}); installed: {}", type,
                           file_name(type), fmt::join(looked_in, " or "),
                           others.empty() ? "none" : fmt::format("{}", fmt::join(others, ", ")))};
}

std::vector<std::string> ModuleLoader::installed() const {
    std::vector<std::string> types;
    for (const auto& folder : folders_) {
        std::error_code error;
        for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
             it.increment(error)) {
            std::string name = it->path().filename().string();
            if (!name.starts_with(file_prefix) || !name.ends_with(file_suffix)) continue;
            name = name.substr(file_prefix.size(), name.size() - file_prefix.size() - file_suffix.size());
            if (is_type_name(name)) types.push_back(std::move(name));
        }
    }
    std::sort(types.begin(), types.end());
    types.erase(std::unique(types.begin(), types.end()), types.end());
    return types;
}

}  // namespace sluice::bridge
