#include <fmt/format.h>

#include "bridge/module_export.hpp"
#include "bridge/mqtt/engine.hpp"
#include "bridge/mqtt/settings.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge::mqtt {
namespace {

constexpr std::uint16_t default_port = 1883, default_tls_port = 8883;
constexpr std::size_t text_bytes_max = 65'535;  // of an MQTT string

bool is_text(const std::string& text) {
    return text.size() <= text_bytes_max && wire::is_mqtt_utf8(text);
}

Result<Route, std::string> make_route(const RouteSpec& spec, const MqttSettings& bridge,
                                      const std::string& origin) {
    const auto& settings = *static_cast<const MqttRoute*>(spec.settings.get());
    auto topic = Template::parse(settings.topic, origin);
    if (!topic) return Err{fmt::format("{}: topic: {}", spec.place, topic.error())};
    return Route{std::move(topic).value(), static_cast<wire::QoS>(settings.qos),
                 bridge.retain && settings.retain == Retain::keep};
}

Result<DownRoute, std::string> make_down_route(const RouteSpec& spec, const MqttSettings& bridge) {
    const auto& settings = *static_cast<const MqttDown*>(spec.settings.get());
    const auto share = wire::parse_share(settings.filter);
    if (!share.valid || !wire::is_topic_filter(share.filter))
        return Err{
            fmt::format("{}: filter: '{}' is no topic filter; expected levels parted by '/', '+' alone "
                        "in its level, '#' alone in the last one",
                        spec.place, settings.filter)};
    if (!share.group.empty() && bridge.protocol != Protocol::v5)
        return Err{fmt::format("{}: filter: '{}' is a shared subscription; expected protocol = \"5\" for it",
                               spec.place, settings.filter)};
    return DownRoute{settings.filter, static_cast<wire::QoS>(settings.subscribe_qos), bridge.retain};
}

/// What the rows cannot check of the bridge's own keys; empty when it is good.
std::string settings_problem(const MqttSettings& settings) {
    if (settings.servers.empty()) return "servers: the list is empty; expected at least one \"host:port\"";
    if (!is_text(settings.client_id)) return "client_id: expected at most 65535 bytes of UTF-8";
    if (!is_text(settings.user)) return "user: expected at most 65535 bytes of UTF-8";
    if (settings.password.size() > text_bytes_max) return "password: expected at most 65535 bytes";
    if (settings.protocol != Protocol::v5 && settings.user.empty() && !settings.password.empty())
        return "password: MQTT 3.1.1 has none without a user; expected `user` beside it";
    if (auto checked = check_tls(settings.tls); !checked) return checked.error();
    return {};
}

Result<std::unique_ptr<Connector>, std::string> create(ConnectorSpec spec) {
    auto settings = *static_cast<const MqttSettings*>(spec.settings.get());
    if (const auto problem = settings_problem(settings); !problem.empty())
        return Err{fmt::format("{}: {}", spec.place, problem)};
    std::vector<ServerAddress> servers;
    for (const auto& text : settings.servers) {
        auto address = parse_server_address(text, settings.tls.enabled() ? default_tls_port : default_port);
        if (!address) return Err{fmt::format("{}: servers: {}", spec.place, address.error())};
        servers.push_back(std::move(address).value());
    }
    std::vector<Route> routes;
    for (const auto& route_spec : spec.routes) {
        auto route = make_route(route_spec, settings, spec.origin);
        if (!route) return Err{route.error()};
        routes.push_back(std::move(route).value());
    }
    std::vector<DownRoute> down_routes;
    for (const auto& route_spec : spec.down_routes) {
        auto route = make_down_route(route_spec, settings);
        if (!route) return Err{route.error()};
        down_routes.push_back(std::move(route).value());
    }
    if (down_routes.size() > down_rows_max)
        return Err{fmt::format("{}: {} rows of [[bridge.down]]; expected at most {}", spec.place,
                               down_routes.size(), down_rows_max)};
    if (settings.client_id.empty())
        settings.client_id = fmt::format("sluice-{}-{}", spec.bridge_name, spec.origin);
    std::string name = spec.bridge_name;
    return make_connector(std::move(name), std::make_unique<MqttEngine>(std::move(spec), std::move(settings),
                                                                        std::move(servers), std::move(routes),
                                                                        std::move(down_routes)));
}

}  // namespace
}  // namespace sluice::bridge::mqtt

SLUICE_EXPORT_MODULE const sluice::bridge::ConnectorModule sluice_connector_module{
    .abi = sluice::bridge::connector_abi,
    .type = "mqtt",
    .set_log_sink = &sluice::bridge::adopt_log_sink,
    .set_clock_history = &sluice::bridge::adopt_clock_history,
    .bridge_rows = &sluice::bridge::mqtt::bridge_rows,
    .route_rows = &sluice::bridge::mqtt::route_rows,
    .make_bridge_settings = &sluice::bridge::make_settings_struct<sluice::bridge::mqtt::MqttSettings>,
    .make_route_settings = &sluice::bridge::make_settings_struct<sluice::bridge::mqtt::MqttRoute>,
    .down_rows = &sluice::bridge::mqtt::down_rows,
    .make_down_settings = &sluice::bridge::make_settings_struct<sluice::bridge::mqtt::MqttDown>,
    .create = &sluice::bridge::mqtt::create,
};
