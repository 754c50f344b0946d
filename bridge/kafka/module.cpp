#include <fmt/format.h>

#include "bridge/kafka/engine.hpp"
#include "bridge/kafka/receiver.hpp"
#include "bridge/kafka/settings.hpp"
#include "bridge/module_export.hpp"

namespace sluice::bridge::kafka {
namespace {

Result<Route, std::string> make_route(const RouteSpec& spec, const std::string& origin) {
    const auto& settings = *static_cast<const KafkaRoute*>(spec.settings.get());
    auto topic = Template::parse(settings.topic, origin);
    if (!topic) return Err{fmt::format("{}: topic: {}", spec.place, topic.error())};
    if (topic->is_literal()) {
        std::string name;
        if (auto text = topic->render(*core::Message::freeze({}), &append_topic)) name = *text;
        if (const auto problem = topic_problem(name); !problem.empty())
            return Err{
                fmt::format("{}: topic: {}; expected a template of a topic name", spec.place, problem)};
    }
    auto key = Template::parse(settings.key, origin);
    if (!key) return Err{fmt::format("{}: key: {}", spec.place, key.error())};
    Route route{std::move(topic).value(), std::move(key).value(),
                settings.topic_illegal == TopicIllegal::replace ? &append_topic_replacing : &append_topic,
                settings.headers, std::nullopt};
    if (settings.cloudevents) {
        auto event = CloudEventMapping::parse(settings.ce_type, settings.ce_source, origin);
        if (!event) return Err{fmt::format("{}: {}", spec.place, event.error())};
        route.event = std::move(event).value();
    }
    return route;
}

Result<std::unique_ptr<Connector>, std::string> create_down(const ConnectorSpec& spec) {
    const auto& settings = *static_cast<const KafkaSettings*>(spec.settings.get());
    auto routes = DownRoutes::make(spec);
    if (!routes) return Err{routes.error()};
    auto conf = make_consumer_conf(settings, routes->group());
    if (!conf) return Err{fmt::format("{}: {}", spec.place, conf.error())};
    return make_connector(spec.bridge_name + ", down",
                          std::make_unique<Receiver>(spec, settings, std::move(conf).value(),
                                                     std::move(routes).value(), spec.routes.empty()));
}

Result<std::unique_ptr<Connector>, std::string> create_up(ConnectorSpec spec) {
    const auto& settings = *static_cast<const KafkaSettings*>(spec.settings.get());
    auto conf = make_conf(settings, spec.inflight_messages_max);
    if (!conf) return Err{fmt::format("{}: {}", spec.place, conf.error())};
    std::vector<Route> routes;
    for (const auto& route_spec : spec.routes) {
        auto route = make_route(route_spec, spec.origin);
        if (!route) return Err{route.error()};
        routes.push_back(std::move(route).value());
    }
    std::string name = spec.bridge_name;
    return make_connector(
        std::move(name),
        std::make_unique<KafkaEngine>(std::move(spec), settings, std::move(conf).value(), std::move(routes)));
}

Result<std::unique_ptr<Connector>, std::string> create(ConnectorSpec spec) {
    if (spec.down_routes.empty()) return create_up(std::move(spec));
    auto down = create_down(spec);
    if (!down || spec.routes.empty()) return down;
    auto up = create_up(std::move(spec));
    if (!up) return up;
    return make_duplex(std::move(up).value(), std::move(down).value());
}

}  // namespace
}  // namespace sluice::bridge::kafka

SLUICE_EXPORT_MODULE const sluice::bridge::ConnectorModule sluice_connector_module{
    .abi = sluice::bridge::connector_abi,
    .type = "kafka",
    .set_log_sink = &sluice::bridge::adopt_log_sink,
    .bridge_rows = &sluice::bridge::kafka::bridge_rows,
    .route_rows = &sluice::bridge::kafka::route_rows,
    .make_bridge_settings = &sluice::bridge::make_settings_struct<sluice::bridge::kafka::KafkaSettings>,
    .make_route_settings = &sluice::bridge::make_settings_struct<sluice::bridge::kafka::KafkaRoute>,
    .down_rows = &sluice::bridge::kafka::down_rows,
    .make_down_settings = &sluice::bridge::make_settings_struct<sluice::bridge::kafka::KafkaDown>,
    .create = &sluice::bridge::kafka::create,
};
