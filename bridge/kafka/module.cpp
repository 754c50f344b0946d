#include <fmt/format.h>

#include "bridge/kafka/engine.hpp"
#include "bridge/kafka/receiver.hpp"
#include "bridge/kafka/settings.hpp"
#include "bridge/kafka/transaction_engine.hpp"
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

/// Empty, or what does not go together.
std::string delivery_problem(const KafkaSettings& settings) {
    if (settings.delivery == Delivery::at_least_once)
        return settings.position_topic.empty() ? std::string()
                                               : "position_topic is given without delivery; expected "
                                                 "delivery = \"exactly_once\" beside it";
    if (settings.position_topic.empty())
        return "position_topic is missing; expected the name of a topic, as delivery = \"exactly_once\" "
               "needs one";
    if (auto problem = topic_problem(settings.position_topic); !problem.empty())
        return fmt::format("position_topic: {}; expected the name of a topic", problem);
    if (settings.transaction_time * 2 > settings.transaction_timeout)
        return fmt::format(
            "transaction_time is {} ms; expected at most half of transaction_timeout, which is {} ms",
            settings.transaction_time.count(), settings.transaction_timeout.count());
    return {};
}

Result<std::unique_ptr<Engine>, std::string> make_transaction_engine(ConnectorSpec spec,
                                                                     const KafkaSettings& settings,
                                                                     ConfPtr plain,
                                                                     std::vector<Route> routes) {
    std::string id = transactional_id_of(spec.origin, spec.bridge_name);
    ConfPtr conf(rd_kafka_conf_dup(plain.get()));
    if (auto problem = make_transactional(conf.get(), settings, id); !problem.empty())
        return Err{fmt::format("{}: delivery: {}", spec.place, problem)};
    return std::unique_ptr<Engine>(std::make_unique<TransactionEngine>(
        std::move(spec), settings, std::move(conf), std::move(plain), std::move(id), std::move(routes)));
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
    if (const auto problem = delivery_problem(settings); !problem.empty())
        return Err{fmt::format("{}: {}", spec.place, problem)};
    auto conf = make_conf(settings, spec.inflight_messages_max);
    if (!conf) return Err{fmt::format("{}: {}", spec.place, conf.error())};
    std::vector<Route> routes;
    for (const auto& route_spec : spec.routes) {
        auto route = make_route(route_spec, spec.origin);
        if (!route) return Err{route.error()};
        routes.push_back(std::move(route).value());
    }
    std::string name = spec.bridge_name;
    if (settings.delivery == Delivery::exactly_once) {
        auto engine =
            make_transaction_engine(std::move(spec), settings, std::move(conf).value(), std::move(routes));
        if (!engine) return Err{engine.error()};
        return make_connector(std::move(name), std::move(engine).value());
    }
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
    .set_clock_history = &sluice::bridge::adopt_clock_history,
    .bridge_rows = &sluice::bridge::kafka::bridge_rows,
    .route_rows = &sluice::bridge::kafka::route_rows,
    .make_bridge_settings = &sluice::bridge::make_settings_struct<sluice::bridge::kafka::KafkaSettings>,
    .make_route_settings = &sluice::bridge::make_settings_struct<sluice::bridge::kafka::KafkaRoute>,
    .down_rows = &sluice::bridge::kafka::down_rows,
    .make_down_settings = &sluice::bridge::make_settings_struct<sluice::bridge::kafka::KafkaDown>,
    .create = &sluice::bridge::kafka::create,
};
