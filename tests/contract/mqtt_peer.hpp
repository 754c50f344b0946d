#pragma once
/// A private Mosquitto broker as a Peer, and a plain client of it (Paho: foreign to what is tested).
#include <MQTTClient.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/contract/peer.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {

/// Speaks version 5. What it lacks is empty.
class MqttClient {
  public:
    struct Message {
        std::string topic, payload;
        int qos = 1;
        bool retain = false;
        std::string content_type, response_topic, correlation_data;
        bool is_text = false;
        int expiry_s = 0;
        std::vector<std::pair<std::string, std::string>> user_properties;
    };

    /// With a session that the broker keeps.
    MqttClient(int port, const std::string& client_id);
    ~MqttClient();
    MqttClient(const MqttClient&) = delete;
    MqttClient& operator=(const MqttClient&) = delete;

    void subscribe(const std::string& filter, bool retain_as_published = false);
    /// Waits until the broker has it.
    void publish(const Message& message);
    std::optional<Message> receive(std::chrono::milliseconds timeout);

  private:
    MQTTClient client_ = nullptr;
};

class MqttPeer final : public Peer {
  public:
    struct Ports {
        int plain = 0, tls = 0, mutual = 0;
    };
    MqttPeer(std::unique_ptr<sluice::test::ChildProcess> process, Ports ports, std::string folder);
    ~MqttPeer() override;

    std::string address() const override { return "127.0.0.1:" + std::to_string(ports_.plain); }
    void configure(SettingsUnderTest& settings) override;
    void configure_place(SettingsUnderTest& settings, const std::string& place) override;
    void configure_refusal(SettingsUnderTest& settings, const std::string& place) override;
    std::vector<Received> receive(const std::string& place, std::size_t count) override;
    void down() override { ask("stop"); }
    void up() override { ask("start"); }
    void freeze() override { ask("freeze"); }
    void thaw() override { ask("thaw"); }
    std::string ask(const std::string& command) override { return process_->ask(command); }

    const Ports& ports() const { return ports_; }
    std::string certificate(const std::string& file) const { return folder_ + "/certs/" + file; }

  private:
    std::unique_ptr<sluice::test::ChildProcess> process_;
    Ports ports_;
    std::string folder_;
    std::map<std::string, std::vector<Received>> received_;  ///< by place
};

}  // namespace sluice::bridge::test
