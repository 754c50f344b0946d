#include "app/check_files.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "auth/auth.hpp"
#include "net/tls.hpp"

namespace sluice::app {
namespace {

using Lines = std::vector<std::string>;

void check_data_dir(const Config& config, Lines& lines) {
    std::error_code error;
    const auto status = std::filesystem::status(config.data_dir, error);
    // One that does not exist is made at the first start.
    if (!std::filesystem::exists(status) || std::filesystem::is_directory(status)) return;
    lines.push_back(fmt::format("{}: key `broker.data_dir`: {} is not a folder; expected a folder or nothing",
                                config.source, config.data_dir));
}

void check_auth(const Config& config, Lines& lines) {
    const auto add = [&](std::string_view key, const std::string& why) {
        lines.push_back(fmt::format("{}: key `auth.{}`: {}", config.source, key, why));
    };
    if (!config.auth.password_file.empty()) {
        const auto users = auth::load_password_file(config.auth.password_file);
        if (!users) add("password_file", users.error());
    }
    if (!config.auth.acl_file.empty()) {
        const auto rights = auth::load_acl_file(config.auth.acl_file);
        if (!rights) add("acl_file", rights.error());
    }
}

void check_listener(const listener::ListenerSettings& listener, Lines& lines) {
    if (listener.tls) {
        const auto tls = net::TlsContext::load(*listener.tls);
        if (!tls) lines.push_back(fmt::format("{}: {}", listener.place, tls.error()));
    }
    if (listener.transport == listener::Transport::unix_socket) {
        const auto folder = std::filesystem::path(listener.path).parent_path();
        std::error_code error;
        if (!std::filesystem::is_directory(folder, error)) {
            lines.push_back(
                fmt::format("{}: key `listener.path`: there is no folder {}; expected one for the socket",
                            listener.place, folder.string()));
        }
    }
}

/// A connector checks what rows cannot when it is made: its templates, for instance.
void check_bridge(const bridge::BridgeSettings& bridge, const ModuleSource& modules, Lines& lines) {
    std::string why;
    const bridge::ConnectorModule* module = modules.find_module(bridge.type, why);
    if (module == nullptr) {
        lines.push_back(fmt::format("{}: key `bridge.type`: {}", bridge.place, why));
        return;
    }
    bridge::ConnectorSpec spec{bridge.name, bridge.place, bridge.connector, {}};
    for (const auto& route : bridge.routes) spec.routes.push_back({route.from, route.place, route.connector});
    for (const auto& down : bridge.downs) spec.down_routes.push_back({{}, down.place, down.connector});
    const auto connector = module->create(std::move(spec));
    if (!connector) lines.push_back(connector.error());
}

}  // namespace

std::vector<std::string> check_files(const Config& config, const ModuleSource& modules) {
    Lines lines;
    check_data_dir(config, lines);
    check_auth(config, lines);
    for (const auto& listener : config.listeners) check_listener(listener, lines);
    for (const auto& bridge : config.bridges) check_bridge(bridge, modules, lines);
    return lines;
}

}  // namespace sluice::app
