#include "tests/contract/peer.hpp"

#include <stdexcept>

namespace sluice::bridge::test {

void set(std::span<const SettingRow> rows, void* settings, std::string_view key, SettingValue value) {
    for (const auto& row : rows) {
        if (row.key != key) continue;
        row.assign(settings, value);
        return;
    }
    throw std::logic_error("no such key: " + std::string(key));
}

void SettingsUnderTest::bridge(std::string_view key, SettingValue value) {
    set(module->bridge_rows(), spec.settings.get(), key, std::move(value));
}
void SettingsUnderTest::route(std::string_view key, SettingValue value, std::size_t index) {
    set(module->route_rows(), spec.routes.at(index).settings.get(), key, std::move(value));
}

void SettingsUnderTest::add_down() {
    spec.down_routes.push_back({"", "test.toml:7", module->make_down_settings()});
}
void SettingsUnderTest::down(std::string_view key, SettingValue value, std::size_t index) {
    set(module->down_rows(), spec.down_routes.at(index).settings.get(), key, std::move(value));
}

SettingsUnderTest make_settings(const ConnectorModule& module) {
    SettingsUnderTest settings{&module, {}};
    settings.spec.bridge_name = "test";
    settings.spec.place = "test.toml:1";
    settings.spec.settings = module.make_bridge_settings();
    settings.spec.routes.push_back({"plant/#", "test.toml:5", module.make_route_settings()});
    return settings;
}

std::string Peer::configure_unreachable(SettingsUnderTest& settings) {
    settings.bridge("servers", std::vector<std::string>{"nosuch.invalid:4711"});
    return "nosuch.invalid";
}

std::string Peer::configure_malformed(SettingsUnderTest& settings) {
    settings.bridge("servers", std::vector<std::string>{"host:port"});
    return "servers";
}

Peer* peer_of(const std::string& name, std::string& why) {
    struct Started {
        std::unique_ptr<Peer> peer;
        std::string why;
    };
    static const std::map<std::string, std::unique_ptr<Peer> (*)(std::string&)> starters{
        {"kafka", &start_kafka_peer},
        {"kafka_real", &start_kafka_node_peer},
        {"kafka_once", &start_kafka_once_peer},
        {"kafka_real_once", &start_kafka_real_once_peer},
        {"amqp", &start_amqp_peer},
        {"amqp1", &start_amqp1_peer},
        {"mqtt", &start_mqtt_peer},
        {"file", &start_file_peer},
    };
    static std::map<std::string, Started> started;
    const auto [it, is_new] = started.try_emplace(name);
    if (is_new) it->second.peer = starters.at(name)(it->second.why);
    why = it->second.why;
    return it->second.peer.get();
}

std::string type_of(const std::string& peer_name) {
    return peer_name.substr(0, peer_name.find('_'));
}

std::map<std::string, std::string> ready_line(const std::string& line) {
    std::map<std::string, std::string> values;
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word != "ready") return values;
    while (words >> word) {
        const auto equals = word.find('=');
        if (equals != std::string::npos) values[word.substr(0, equals)] = word.substr(equals + 1);
    }
    return values;
}

}  // namespace sluice::bridge::test
