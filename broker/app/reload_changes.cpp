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

/// `rows` of both lists, and of the module's part of them.
template <class One>
void add_ways(std::vector<std::string>& out, std::string_view noun, const std::vector<One>& a,
              const std::vector<One>& b, std::span<const SettingRow> rows,
              std::span<const SettingRow> module_rows) {
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
        const std::string name = fmt::format("{} {}", noun, i + 1);
        if (i >= a.size() || i >= b.size()) {
            out.push_back(fmt::format("{} ({})", name, i < b.size() ? "new" : "removed"));
            continue;
        }
        add_changed(out, name + ": ", rows, &a[i], &b[i]);
        add_changed(out, name + ": ", module_rows, a[i].connector.get(), b[i].connector.get());
    }
}

}  // namespace

std::vector<std::string> changed_bridge_settings(const bridge::BridgeSettings& a,
                                                 const bridge::BridgeSettings& b,
                                                 const ModuleSource& modules) {
    std::vector<std::string> out;
    if (a.type != b.type) return {"type"};
    add_changed(out, "", bridge::bridge_rows(), &a, &b);
    add_changed(out, "spool.", bridge::spool_rows(), &a.spool, &b.spool);
    add_changed(out, "dead.", bridge::dead_rows(), &a.dead, &b.dead);
    std::string ignored;
    const bridge::ConnectorModule* module = modules.find_module(a.type, ignored);
    if (module) add_changed(out, "", module->bridge_rows(), a.connector.get(), b.connector.get());
    using Rows = std::span<const SettingRow>;
    add_ways(out, "route", a.routes, b.routes, bridge::route_rows(), module ? module->route_rows() : Rows());
    add_ways(out, "down", a.downs, b.downs, bridge::down_rows(),
             module && module->down_rows ? module->down_rows() : Rows());
    return out;
}

std::vector<std::string> settings_for_restart(const Config& running, const Config& fresh) {
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
