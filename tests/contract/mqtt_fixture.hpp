#pragma once
/// What the suites of the mqtt connector share.
#include "tests/contract/connector_fixture.hpp"
#include "tests/contract/mqtt_peer.hpp"
#include "tests/support/fake_mqtt_broker.hpp"
#include "tests/support/properties.hpp"

namespace sluice::bridge::test {

using std::chrono::milliseconds;

class MqttConnectorFixture : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("mqtt")) GTEST_SKIP() << why_;
        broker_ = static_cast<MqttPeer*>(peer_);
        // Sessions stay with the broker: each test has its own.
        settings_.bridge("client_id", place_);
    }
    /// Leads to the fake broker instead.
    void use_fake() { settings_.bridge("servers", std::vector<std::string>{fake_.address()}); }
    Confirm confirm_of(std::uint64_t tag, std::uint32_t lane = 0) {
        return feeder_.read([&] { return feeder_.confirmed_.at({lane, tag}); });
    }
    bool wait_stall(const std::string& part) {
        return feeder_.wait([&] {
            return !feeder_.stalls_.empty() && feeder_.stalls_.back().find(part) != std::string::npos;
        });
    }
    std::size_t downs() {
        return feeder_.read([&] { return feeder_.downs_.size(); });
    }
    void publish_numbers(int from, int to, std::uint32_t lane = 0) {
        for (int i = from; i < to; ++i) feeder_.publish_text(lane, "plant/a", std::to_string(i));
    }
    /// Of a message that is to come down.
    Incoming incoming(std::size_t index) {
        return feeder_.read([&] { return feeder_.incoming_.at(index); });
    }
    std::size_t incoming_count() {
        return feeder_.read([&] { return feeder_.incoming_.size(); });
    }
    void settle(std::size_t index, bool kept = true) {
        connector_->settle({{incoming(index).token, kept, kept ? "" : "test"}});
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    }

    core::Message::Fields fields_with_everything() {
        properties_.payload_format(1)
            .content_type("application/json")
            .response_topic("answers/7")
            .correlation_data("call 9")
            .user("site", "Jülich")
            .user("sluice-id", "forged")
            .user("sluice-sequence", "forged")
            .user("sluice-origin", "forged")
            .user("line", "4");
        core::Message::Fields fields;
        fields.topic = "plant/v1/telemetry";
        fields.properties = properties_.bytes;
        fields.payload = as_bytes("{}");
        fields.retain = true;
        fields.client_id = "device-7";
        fields.received = Feeder::now();
        fields.expiry_interval_s = 3600;
        return fields;
    }

    MqttPeer* broker_ = nullptr;
    sluice::test::PropertyBytes properties_;
    sluice::test::FakeMqttBroker fake_;
};

}  // namespace sluice::bridge::test
