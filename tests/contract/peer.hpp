#pragma once
/// Peer: an upstream under the test's control, and what the contract suite must know of its kind.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/settings.hpp"
#include "bridge/connector.hpp"

namespace sluice::bridge::test {

struct Received {
    std::string payload;
    bool has_payload = true;  ///< false: there was none at all, which is not the same as an empty one
    std::string key;          ///< Kafka: the record's key; AMQP: the routing key; MQTT: the topic
    /// As text; AMQP's and MQTT's properties have a '@' in front, annotations of AMQP 1.0 a '#'.
    std::map<std::string, std::string> headers;
};

/// Assigns a value to the row of that key, as the config loader does.
void set(std::span<const SettingRow> rows, void* settings, std::string_view key, SettingValue value);

/// Where a bridge and its route take their keys in a test.
struct SettingsUnderTest {
    const ConnectorModule* module;
    ConnectorSpec spec;
    void bridge(std::string_view key, SettingValue value);
    void route(std::string_view key, SettingValue value, std::size_t index = 0);
    /// One more down route, nothing set.
    void add_down();
    void down(std::string_view key, SettingValue value, std::size_t index = 0);
};
/// One route, nothing set.
SettingsUnderTest make_settings(const ConnectorModule& module);

/// A way to a peer whose packets can be made to vanish: by the commands "cut" and "mend".
struct FrailWay {
    std::string network_namespace;  ///< from where `address` can be reached; empty: this machine has none
    std::string address;
};

class Peer {
  public:
    virtual ~Peer() = default;
    /// "host:port", as the key `servers` has it; of files: the folder.
    virtual std::string address() const = 0;
    /// Keys that lead to this peer, with short deadlines.
    virtual void configure(SettingsUnderTest& settings) = 0;
    /// Makes a place of that name for messages, and sets the keys of the route that lead there.
    virtual void configure_place(SettingsUnderTest& settings, const std::string& place) = 0;
    /// All that has ever come to the place, at least `count` unless time is up.
    virtual std::vector<Received> receive(const std::string& place, std::size_t count) = 0;
    /// The same, but the peer refuses for good a message to "plant/refused" of 4000 bytes.
    virtual void configure_refusal(SettingsUnderTest& settings, const std::string& place) = 0;
    /// Keys that lead nowhere; what the reason for the operator must name.
    virtual std::string configure_unreachable(SettingsUnderTest& settings);
    /// A value that `create` must refuse; its key.
    virtual std::string configure_malformed(SettingsUnderTest& settings);
    /// From here on the places that were made outlive down().
    virtual void settle() {}
    virtual void down() = 0;
    virtual void up() = 0;
    /// Why freeze() has no meaning for this kind; empty when it has one.
    virtual std::string why_not_frozen() const { return {}; }
    virtual void freeze() = 0;
    virtual void thaw() = 0;
    virtual FrailWay frail_way() const { return {}; }
    /// A command in the peer's own words; its answer.
    virtual std::string ask(const std::string& command) = 0;
};

/// The peer of a name, started once per process; nullptr when this machine lacks what it needs (`why` tells).
Peer* peer_of(const std::string& name, std::string& why);
/// The bridge's `type` that goes to the peer of that name: some types have more than one.
std::string type_of(const std::string& peer_name);

/// The values of a line "ready NAME=VALUE ...", as the scripts of nodes print it; none: it is another line.
std::map<std::string, std::string> ready_line(const std::string& line);

/// Each kind's own file.
std::unique_ptr<Peer> start_kafka_peer(std::string& why);
std::unique_ptr<Peer> start_kafka_node_peer(std::string& why);
/// The same two, with delivery = "exactly_once".
std::unique_ptr<Peer> start_kafka_once_peer(std::string& why);
std::unique_ptr<Peer> start_kafka_real_once_peer(std::string& why);
std::unique_ptr<Peer> start_amqp_peer(std::string& why);
std::unique_ptr<Peer> start_file_peer(std::string& why);
std::unique_ptr<Peer> start_mqtt_peer(std::string& why);
std::unique_ptr<Peer> start_amqp1_peer(std::string& why);

}  // namespace sluice::bridge::test
