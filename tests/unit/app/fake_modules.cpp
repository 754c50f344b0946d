#include "fake_modules.hpp"

namespace sluice::app {
namespace {

std::span<const SettingRow> kafka_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"servers",
         text_list,
         "",
         "Brokers to ask first.",
         bind_setting<&FakeBridgeSettings::servers>,
         0,
         0,
         {},
         false,
         true},
        {"password", secret, "", "For SASL.", bind_setting<&FakeBridgeSettings::password>},
        {"tls.ca", path, "", "Whom to trust.", bind_setting<&FakeBridgeSettings::tls_ca>},
        {"retry", duration, "1s", "Between attempts.", bind_setting<&FakeBridgeSettings::retry_ms>, 1,
         60'000},
    };
    return rows;
}
std::span<const SettingRow> kafka_route_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"topic", text, "", "Where to.", bind_setting<&FakeRouteSettings::topic>, 0, 0, {}, false, true},
        {"key", text, "", "Of the record.", bind_setting<&FakeRouteSettings::key>},
    };
    return rows;
}
std::span<const SettingRow> no_rows() {
    return {};
}
std::shared_ptr<void> make_bridge() {
    return std::make_shared<FakeBridgeSettings>();
}
std::shared_ptr<void> make_route() {
    return std::make_shared<FakeRouteSettings>();
}
Result<std::unique_ptr<bridge::Connector>, std::string> create(bridge::ConnectorSpec spec) {
    return Err{spec.place + ": fake"};
}

bridge::ConnectorModule fake_module(const char* type, std::span<const SettingRow> (*bridge_rows)(),
                                    std::span<const SettingRow> (*route_rows)()) {
    bridge::ConnectorModule module;
    module.type = type;
    module.bridge_rows = bridge_rows;
    module.route_rows = route_rows;
    module.make_bridge_settings = make_bridge;
    module.make_route_settings = make_route;
    module.create = create;
    return module;
}

const bridge::ConnectorModule kafka = fake_module("kafka", kafka_rows, kafka_route_rows);
const bridge::ConnectorModule file = fake_module("file", no_rows, no_rows);

}  // namespace

ModuleSource fake_modules() {
    ModuleSource source;
    source.find_module = [](std::string_view type, std::string&) -> const bridge::ConnectorModule* {
        return type == "kafka" ? &kafka : type == "file" ? &file : nullptr;
    };
    source.installed_types = [] { return std::vector<std::string>{"kafka", "file"}; };
    return source;
}

std::vector<const bridge::ConnectorModule*> fake_module_list() {
    return {&file, &kafka};
}

}  // namespace sluice::app
