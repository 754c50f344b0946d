#include <fmt/format.h>

#include "bridge/amqp/consume_engine.hpp"
#include "bridge/amqp/down_queue.hpp"
#include "bridge/amqp/engine.hpp"
#include "bridge/amqp/properties.hpp"
#include "bridge/amqp/settings.hpp"
#include "bridge/amqp/two_ways.hpp"
#include "bridge/module_export.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr std::uint16_t default_port = 5672, default_tls_port = 5671;

Result<void, std::string> check_security(const AmqpSettings& settings) {
    if (settings.sasl == Sasl::external && settings.tls.certificate.empty())
        return Err{std::string("certificate: is missing; expected it with sasl = \"external\", and `key`")};
    return check_tls(settings.tls);
}

Result<Route, std::string> make_route(const RouteSpec& spec, const std::string& origin) {
    const auto& settings = *static_cast<const AmqpRoute*>(spec.settings.get());
    auto exchange = Template::parse(settings.exchange, origin);
    if (!exchange) return Err{fmt::format("{}: exchange: {}", spec.place, exchange.error())};
    auto routing_key = Template::parse(settings.routing_key, origin);
    if (!routing_key) return Err{fmt::format("{}: routing_key: {}", spec.place, routing_key.error())};
    Route route{std::move(exchange).value(), std::move(routing_key).value(), settings.persistent,
                settings.mandatory, std::nullopt};
    if (settings.cloudevents) {
        auto event = CloudEventMapping::parse(settings.ce_type, settings.ce_source, origin);
        if (!event) return Err{fmt::format("{}: {}", spec.place, event.error())};
        route.event = std::move(event).value();
    }
    return route;
}

Result<std::unique_ptr<Connector>, std::string> create(ConnectorSpec spec) {
    const auto& settings = *static_cast<const AmqpSettings*>(spec.settings.get());
    if (auto checked = check_security(settings); !checked)
        return Err{fmt::format("{}: {}", spec.place, checked.error())};
    const auto port = settings.tls.enabled() ? default_tls_port : default_port;
    std::vector<ServerAddress> servers;
    for (const auto& text : settings.servers) {
        auto address = parse_server_address(text, port);
        if (!address) return Err{fmt::format("{}: servers: {}", spec.place, address.error())};
        servers.push_back(std::move(address).value());
    }
    if (servers.empty())
        return Err{
            fmt::format("{}: servers: the list is empty; expected at least one \"host:port\"", spec.place)};
    std::vector<Route> routes;
    for (const auto& route_spec : spec.routes) {
        auto route = make_route(route_spec, spec.origin);
        if (!route) return Err{route.error()};
        routes.push_back(std::move(route).value());
    }
    auto queues = make_down_queues(spec);
    if (!queues) return Err{queues.error()};
    const std::string name = spec.bridge_name;
    std::unique_ptr<Connector> up, down;
    if (!queues->empty())
        down = make_connector(
            name, std::make_unique<ConsumeEngine>(spec, settings, servers, std::move(queues).value()));
    if (routes.empty() && down) return down;
    up = make_connector(
        name, std::make_unique<AmqpEngine>(std::move(spec), settings, std::move(servers), std::move(routes)));
    if (!down) return up;
    return make_two_ways(std::move(up), std::move(down));
}

}  // namespace
}  // namespace sluice::bridge::amqp

SLUICE_EXPORT_MODULE const sluice::bridge::ConnectorModule sluice_connector_module{
    .abi = sluice::bridge::connector_abi,
    .type = "amqp",
    .set_log_sink = &sluice::bridge::adopt_log_sink,
    .set_clock_history = &sluice::bridge::adopt_clock_history,
    .bridge_rows = &sluice::bridge::amqp::bridge_rows,
    .route_rows = &sluice::bridge::amqp::route_rows,
    .make_bridge_settings = &sluice::bridge::make_settings_struct<sluice::bridge::amqp::AmqpSettings>,
    .make_route_settings = &sluice::bridge::make_settings_struct<sluice::bridge::amqp::AmqpRoute>,
    .down_rows = &sluice::bridge::amqp::down_rows,
    .make_down_settings = &sluice::bridge::make_settings_struct<sluice::bridge::amqp::AmqpDown>,
    .create = &sluice::bridge::amqp::create,
};
