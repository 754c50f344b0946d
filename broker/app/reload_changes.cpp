#include "app/reload_changes.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::app {
namespace {

using listener::ListenerSettings;

void add_changed(std::vector<std::string>& out, std::string_view before_key, std::span<const SettingRow> rows,
                 const void* running, const void* fresh) {
    for (const SettingRow& row : rows)
        if (!row.reloadable && !row.same(running, fresh))
            out.push_back(fmt::format("{}{}", before_key, row.key));
}

bool same_place(const ListenerSettings& a, const ListenerSettings& b) {
    if (a.transport != b.transport) return false;
    if (a.transport == listener::Transport::unix_socket) return a.path == b.path;
    return a.address == b.address && a.port == b.port;
}

std::string name_of(const ListenerSettings& one) {
    if (one.transport == listener::Transport::unix_socket) return fmt::format("listener {}", one.path);
    if (one.address.empty()) return fmt::format("listener port {}", one.port);
    return fmt::format("listener {}:{}", one.address, one.port);
}

/// `matched(running, fresh)` for what is the same by `is_same`, `rest` for what is on one side only. Any two
/// are matched once.
template <class Old, class New, class IsSame, class Matched, class Rest>
void pair_up(std::span<Old> running, std::span<New> fresh, IsSame&& is_same, Matched&& matched, Rest&& rest) {
    std::vector<bool> used(fresh.size());
    for (Old& old : running) {
        std::size_t i = 0;
        while (i < fresh.size() && (used[i] || !is_same(old, fresh[i]))) ++i;
        if (i == fresh.size()) {
            rest(old, false);
        } else {
            used[i] = true;
            matched(old, fresh[i]);
        }
    }
    for (std::size_t i = 0; i < fresh.size(); ++i)
        if (!used[i]) rest(fresh[i], true);
}

void add_listeners(std::vector<std::string>& out, const Config& running, const Config& fresh) {
    const auto one = [&](const ListenerSettings& a, const ListenerSettings& b) {
        const std::string prefix = name_of(a) + ": ";
        add_changed(out, prefix, listener::listener_rows(), &a, &b);
        if (a.tls && b.tls) {
            add_changed(out, prefix + "tls.", net::tls_setting_rows(), &*a.tls, &*b.tls);
        } else if (a.tls || b.tls) {
            out.push_back(prefix + "tls");
        }
    };
    const auto alone = [&](const ListenerSettings& which, bool is_new) {
        out.push_back(fmt::format("{} ({})", name_of(which), is_new ? "new" : "removed"));
    };
    pair_up(std::span<const ListenerSettings>(running.listeners),
            std::span<const ListenerSettings>(fresh.listeners), same_place, one, alone);
}

void add_routes(std::vector<std::string>& out, const bridge::BridgeSettings& a,
                const bridge::BridgeSettings& b, const bridge::ConnectorModule* module) {
    for (std::size_t i = 0; i < std::max(a.routes.size(), b.routes.size()); ++i) {
        const std::string name = fmt::format("bridge {}: route {}", a.name, i + 1);
        if (i >= a.routes.size() || i >= b.routes.size()) {
            out.push_back(fmt::format("{} ({})", name, i < b.routes.size() ? "new" : "removed"));
            continue;
        }
        add_changed(out, name + ": ", bridge::route_rows(), &a.routes[i], &b.routes[i]);
        if (module)
            add_changed(out, name + ": ", module->route_rows(), a.routes[i].connector.get(),
                        b.routes[i].connector.get());
    }
}

void add_bridges(std::vector<std::string>& out, const Config& running, const Config& fresh,
                 const ModuleSource& modules) {
    using bridge::BridgeSettings;
    const auto one = [&](const BridgeSettings& a, const BridgeSettings& b) {
        const std::string prefix = fmt::format("bridge {}: ", a.name);
        add_changed(out, prefix, bridge::bridge_rows(), &a, &b);
        add_changed(out, prefix + "spool.", bridge::spool_rows(), &a.spool, &b.spool);
        std::string ignored;
        const bridge::ConnectorModule* module =
            a.type == b.type && a.connector && b.connector ? modules.find_module(a.type, ignored) : nullptr;
        if (module) add_changed(out, prefix, module->bridge_rows(), a.connector.get(), b.connector.get());
        add_routes(out, a, b, module);
    };
    const auto alone = [&](const BridgeSettings& which, bool is_new) {
        out.push_back(fmt::format("bridge {} ({})", which.name, is_new ? "new" : "removed"));
    };
    pair_up(
        std::span<const BridgeSettings>(running.bridges), std::span<const BridgeSettings>(fresh.bridges),
        [](const BridgeSettings& a, const BridgeSettings& b) { return a.name == b.name; }, one, alone);
}

}  // namespace

std::vector<std::string> settings_for_restart(const Config& running, const Config& fresh,
                                              const ModuleSource& modules) {
    std::vector<std::string> out;
    add_changed(out, "broker.", broker_rows(), &running, &fresh);
    add_listeners(out, running, fresh);
    add_changed(out, "auth.", auth::auth_rows(), &running.auth, &fresh.auth);
    add_changed(out, "limits.", shard::limits_rows(), &running.limits, &fresh.limits);
    add_changed(out, "durability.", store::durability_rows(), &running.durability, &fresh.durability);
    add_changed(out, "store.", store::store_rows(), &running.store, &fresh.store);
    if (running.admin && fresh.admin) {
        add_changed(out, "admin.", admin::admin_rows(), &*running.admin, &*fresh.admin);
    } else if (running.admin || fresh.admin) {
        out.push_back(fmt::format("admin ({})", fresh.admin ? "new" : "removed"));
    }
    add_bridges(out, running, fresh, modules);
    return out;
}

void take_listener_settings(std::vector<ListenerSettings>& running,
                            const std::vector<ListenerSettings>& fresh) {
    const auto one = [](ListenerSettings& a, const ListenerSettings& b) {
        a.place = b.place;
        if (!a.tls || !b.tls) return;
        a.tls->certificate = b.tls->certificate;
        a.tls->key = b.tls->key;
        a.tls->client_ca = b.tls->client_ca;
    };
    pair_up(std::span<ListenerSettings>(running), std::span<const ListenerSettings>(fresh), same_place, one,
            [](const ListenerSettings&, bool) {});
}

}  // namespace sluice::app
