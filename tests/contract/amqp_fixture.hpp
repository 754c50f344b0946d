#pragma once
/// The amqp connector before a RabbitMQ node.
#include "tests/contract/amqp_peer.hpp"
#include "tests/contract/connector_fixture.hpp"

namespace sluice::bridge::test {

class AmqpConnector : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("amqp")) GTEST_SKIP() << why_;
        node_ = static_cast<AmqpPeer*>(peer_);
    }
    Confirm confirm_of(std::uint64_t tag, std::uint32_t lane = 0) {
        return feeder_.read([&] { return feeder_.confirmed_.at({lane, tag}); });
    }
    bool wait_stall(const std::string& part) {
        return feeder_.wait([&] {
            return !feeder_.stalls_.empty() && feeder_.stalls_.back().find(part) != std::string::npos;
        });
    }
    bool wait_no_stall() {
        return feeder_.wait([&] { return !feeder_.stalls_.empty() && feeder_.stalls_.back().empty(); });
    }
    std::size_t downs() {
        return feeder_.read([&] { return feeder_.downs_.size(); });
    }
    void publish_numbers(int from, int to) {
        for (int i = from; i < to; ++i) feeder_.publish_text(0, "plant/a", std::to_string(i));
    }

    AmqpPeer* node_ = nullptr;
};

}  // namespace sluice::bridge::test
