#include <fmt/format.h>

#include "bridge/amqp1/engine.hpp"
#include "bridge/amqp1/settings.hpp"
#include "bridge/module_export.hpp"

namespace sluice::bridge::amqp1 {
namespace {

constexpr std::uint16_t default_port = 5672, default_tls_port = 5671;

Result<Template, std::string> parse(const RouteSpec& spec, std::string_view key, std::string_view text,
                                    const std::string& origin) {
    auto parsed = Template::parse(text, origin);
    if (!parsed) return Err{fmt::format("{}: {}: {}", spec.place, key, parsed.error())};
    return parsed;
}

Result<Route, std::string> make_route(const RouteSpec& spec, const std::string& origin) {
    const auto& settings = *static_cast<const Amqp1Route*>(spec.settings.get());
    if (settings.address.empty())
        return Err{fmt::format("{}: address: it is empty; expected a template of an address", spec.place)};
    auto address = parse(spec, "address", settings.address, origin);
    if (!address) return Err{address.error()};
    auto partition_key = parse(spec, "partition_key", settings.partition_key, origin);
    if (!partition_key) return Err{partition_key.error()};
    auto group_id = parse(spec, "group_id", settings.group_id, origin);
    if (!group_id) return Err{group_id.error()};
    return Route{std::move(address).value(),
                 settings.address.starts_with('/') ? &append_path : &append_address,
                 std::move(partition_key).value(), std::move(group_id).value(), settings.durable};
}

Result<Amqp1Down, std::string> make_down(const RouteSpec& spec, const std::string& origin) {
    Amqp1Down down = *static_cast<const Amqp1Down*>(spec.settings.get());
    if (down.address.empty())
        return Err{fmt::format("{}: address: it is empty; expected an address to receive from", spec.place)};
    const auto address = parse(spec, "address", down.address, origin);
    if (!address) return Err{address.error()};
    if (!address->is_literal())
        return Err{
            fmt::format("{}: address: '{}' would be another one for each message; expected no "
                        "placeholder but {{origin}}",
                        spec.place, down.address)};
    auto text = address->render(*core::Message::freeze({}));
    if (!text) return Err{fmt::format("{}: address: {}", spec.place, text.error())};
    down.address = std::move(text).value();
    return down;
}

Result<std::vector<ServerAddress>, std::string> make_servers(const Amqp1Settings& settings,
                                                             const std::string& place) {
    std::vector<ServerAddress> servers;
    const auto port = settings.tls.enabled() ? default_tls_port : default_port;
    for (const auto& text : settings.servers) {
        auto address = parse_server_address(text, port);
        if (!address) return Err{fmt::format("{}: servers: {}", place, address.error())};
        servers.push_back(std::move(address).value());
    }
    if (servers.empty())
        return Err{fmt::format("{}: servers: the list is empty; expected at least one \"host:port\"", place)};
    return servers;
}

Result<std::unique_ptr<Connector>, std::string> create(ConnectorSpec spec) {
    const auto& settings = *static_cast<const Amqp1Settings*>(spec.settings.get());
    auto servers = make_servers(settings, spec.place);
    if (!servers) return Err{servers.error()};
    if (auto checked = check_tls(settings.tls); !checked)
        return Err{fmt::format("{}: {}", spec.place, checked.error())};
    if (auto mechanism = sasl_mechanism(settings); !mechanism)
        return Err{fmt::format("{}: {}", spec.place, mechanism.error())};
    std::vector<Route> routes;
    for (const auto& route_spec : spec.routes) {
        auto route = make_route(route_spec, spec.origin);
        if (!route) return Err{route.error()};
        routes.push_back(std::move(route).value());
    }
    std::vector<Amqp1Down> down_routes;
    for (const auto& down_spec : spec.down_routes) {
        auto down = make_down(down_spec, spec.origin);
        if (!down) return Err{down.error()};
        down_routes.push_back(std::move(down).value());
    }
    std::string name = spec.bridge_name;
    return make_connector(std::move(name),
                          std::make_unique<Amqp1Engine>(std::move(spec), settings, std::move(servers).value(),
                                                        std::move(routes), std::move(down_routes)));
}

}  // namespace
}  // namespace sluice::bridge::amqp1

SLUICE_EXPORT_MODULE const sluice::bridge::ConnectorModule sluice_connector_module{
    .abi = sluice::bridge::connector_abi,
    .type = "amqp1",
    .set_log_sink = &sluice::bridge::adopt_log_sink,
    .set_clock_history = &sluice::bridge::adopt_clock_history,
    .bridge_rows = &sluice::bridge::amqp1::bridge_rows,
    .route_rows = &sluice::bridge::amqp1::route_rows,
    .make_bridge_settings = &sluice::bridge::make_settings_struct<sluice::bridge::amqp1::Amqp1Settings>,
    .make_route_settings = &sluice::bridge::make_settings_struct<sluice::bridge::amqp1::Amqp1Route>,
    .down_rows = &sluice::bridge::amqp1::down_rows,
    .make_down_settings = &sluice::bridge::make_settings_struct<sluice::bridge::amqp1::Amqp1Down>,
    .create = &sluice::bridge::amqp1::create,
};
