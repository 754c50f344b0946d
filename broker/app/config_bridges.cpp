#include <fmt/format.h>

#include <algorithm>

#include "app/config_sections.hpp"
#include "app/config_value.hpp"
#include "bridge/condition.hpp"
#include "bridge/down_mapping.hpp"
#include "wire/topic.hpp"

namespace sluice::app {
namespace {

using bridge::BridgeSettings;
using bridge::RouteSettings;
using UnknownKeys = ConfigReader::UnknownKeys;

constexpr std::size_t name_bytes_max = 64;

bool is_bridge_name(std::string_view name) {
    const auto allowed = [](unsigned char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
               c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= name_bytes_max && name.front() != '.' &&
           std::all_of(name.begin(), name.end(), allowed);
}

const bridge::ConnectorModule* find_module(ConfigReader& reader, const TomlNode& table,
                                           const std::string& type, const ModuleSource& modules) {
    std::string why = "no module of this type is installed";
    const bridge::ConnectorModule* module = modules.find_module ? modules.find_module(type, why) : nullptr;
    if (module != nullptr) return module;
    auto installed = modules.installed_types ? modules.installed_types() : std::vector<std::string>();
    std::sort(installed.begin(), installed.end());
    reader.error(table.find("type")->place, "bridge.type",
                 fmt::format("\"{}\" cannot be used: {}", type, why),
                 installed.empty()
                     ? "expected a type whose module is installed; there is none"
                     : fmt::format("expected one of the installed types: {}", fmt::join(installed, ", ")));
    return nullptr;
}

void read_route(ConfigReader& reader, const TomlNode& table, const bridge::ConnectorModule* module,
                RouteSettings& route) {
    route.place = reader.place_text(table.place);
    std::vector<ConfigReader::Target> targets{{bridge::route_rows(), &route}};
    if (module != nullptr) {
        route.connector = module->make_route_settings();
        targets.push_back({module->route_rows(), route.connector.get()});
    }
    reader.read_rows(table, "bridge.route", targets, {},
                     module != nullptr ? UnknownKeys::are_errors : UnknownKeys::are_skipped);
    if (!route.from.empty() && !wire::is_topic_filter(route.from)) {
        reader.error(table.find("from")->place, "bridge.route.from", "is not a topic filter",
                     "expected one such as plant/+/telemetry/#");
    }
    if (!wire::parse_share(route.from).valid || !wire::parse_share(route.from).group.empty()) {
        reader.error(table.find("from")->place, "bridge.route.from", "is a shared subscription",
                     "expected a plain topic filter: each message goes up once as it is");
    }
    if (route.when.empty()) return;
    const auto condition = bridge::Condition::parse(route.when);
    if (!condition) {
        reader.error(table.find("when")->place, "bridge.route.when", "is not a condition", condition.error());
    }
}

void read_down(ConfigReader& reader, const TomlNode& table, const bridge::ConnectorModule* module,
               bridge::DownSettings& down) {
    down.place = reader.place_text(table.place);
    std::vector<ConfigReader::Target> targets{{bridge::down_rows(), &down}};
    const bool known = module != nullptr && module->down_rows != nullptr;
    if (known) {
        down.connector = module->make_down_settings();
        targets.push_back({module->down_rows(), down.connector.get()});
    }
    reader.read_rows(table, "bridge.down", targets, {},
                     known ? UnknownKeys::are_errors : UnknownKeys::are_skipped);
    if (module != nullptr && !known)
        reader.error(table.place, "bridge.down",
                     fmt::format("is not possible with type \"{}\"", module->type),
                     "expected only [[bridge.route]] here");
    if (const auto topic = bridge::DownTemplate::parse(down.topic); !topic)
        reader.error(table.find("topic")->place, "bridge.down.topic", "is no template", topic.error());
}

/// Routes may have names; those are unique.
void check_route_name(ConfigReader& reader, const TomlNode& table, const BridgeSettings& bridge) {
    const std::string& name = bridge.routes.back().name;
    if (name.empty()) return;
    const Place place = table.find("name")->place;
    if (!is_bridge_name(name)) {
        reader.error(place, "bridge.route.name", "cannot be used in commands and on disk",
                     fmt::format("expected 1 to {} letters, digits, '-', '_' or '.', not beginning with '.'",
                                 name_bytes_max));
    }
    const auto last = std::prev(bridge.routes.end());
    if (std::any_of(bridge.routes.begin(), last, [&](const auto& other) { return other.name == name; }))
        reader.error(place, "bridge.route.name", "is taken by another route of this bridge",
                     "expected another name");
}

void check_name(ConfigReader& reader, const TomlNode& table, const std::vector<const TomlNode*>& tables,
                const Config& config) {
    const std::string& name = config.bridges.back().name;
    if (name.empty()) return;  // has its own error
    const Place place = table.find("name")->place;
    if (!is_bridge_name(name)) {
        reader.error(place, "bridge.name", "cannot be used in file names and metrics",
                     fmt::format("expected 1 to {} letters, digits, '-', '_' or '.', not beginning with '.'",
                                 name_bytes_max));
        return;
    }
    for (std::size_t i = 0; i + 1 < config.bridges.size(); ++i) {
        if (config.bridges[i].name != name) continue;
        reader.error(place, "bridge.name",
                     fmt::format("is taken by the bridge at line {}", tables[i]->place.line),
                     "expected another name");
        return;
    }
}

void read_bridge(ConfigReader& reader, const TomlNode& table, const ModuleSource& modules,
                 BridgeSettings& bridge) {
    bridge.place = reader.place_text(table.place);
    // The type first: it says which keys there are.
    const TomlNode* type = table.find("type");
    const bridge::ConnectorModule* module = nullptr;
    if (type != nullptr && type->kind == TomlNode::Kind::text && !type->text.empty()) {
        module = find_module(reader, table, type->text, modules);
    }
    std::vector<ConfigReader::Target> targets{{bridge::bridge_rows(), &bridge}};
    if (module != nullptr) {
        bridge.connector = module->make_bridge_settings();
        targets.push_back({module->bridge_rows(), bridge.connector.get()});
    }
    static constexpr std::string_view tables[] = {"spool", "dead", "route", "down"};
    reader.read_rows(table, "bridge", targets, tables,
                     module != nullptr ? UnknownKeys::are_errors : UnknownKeys::are_skipped);
    if (const TomlNode* spool = reader.find_table(table, "bridge", "spool")) {
        reader.read_rows(*spool, "bridge.spool", {{bridge::spool_rows(), &bridge.spool}});
    }
    if (const TomlNode* dead = reader.find_table(table, "bridge", "dead")) {
        reader.read_rows(*dead, "bridge.dead", {{bridge::dead_rows(), &bridge.dead}});
    }
    for (const TomlNode* route : reader.find_tables(table, "bridge", "route")) {
        read_route(reader, *route, module, bridge.routes.emplace_back());
        check_route_name(reader, *route, bridge);
    }
    for (const TomlNode* down : reader.find_tables(table, "bridge", "down")) {
        read_down(reader, *down, module, bridge.downs.emplace_back());
    }
    if (table.find("route") == nullptr && table.find("down") == nullptr) {
        reader.error(table.place, "bridge.route", "is missing",
                     "expected at least one [[bridge.route]] or [[bridge.down]]");
    }
}

/// With a store that is full before the spools are, their policies never come to bear: all publishers wait.
void check_spools_fit(ConfigReader& reader, const std::vector<const TomlNode*>& tables,
                      const Config& config) {
    if (config.durability.mode == store::DurabilityMode::memory) return;
    const auto all = static_cast<std::int64_t>(config.store.bytes_max);
    std::int64_t spools = 0;
    for (const BridgeSettings& bridge : config.bridges)
        if (!bridge.routes.empty()) spools += static_cast<std::int64_t>(bridge.spool.bytes_max);
    if (spools < all) return;
    reader.warn(tables.front()->place, "bridge.spool.bytes_max",
                fmt::format("may be {} in all bridges together, which the store has no room for: it is full "
                            "first, and then all publishers wait",
                            format_size(spools)),
                fmt::format("expected less than `store.bytes_max`, which is {}", format_size(all)));
}

}  // namespace

void read_bridges(ConfigReader& reader, const TomlNode& root, const ModuleSource& modules, Config& config) {
    const auto tables = reader.find_tables(root, "", "bridge");
    for (const TomlNode* table : tables) {
        read_bridge(reader, *table, modules, config.bridges.emplace_back());
        check_name(reader, *table, tables, config);
    }
    check_spools_fit(reader, tables, config);
}

}  // namespace sluice::app
