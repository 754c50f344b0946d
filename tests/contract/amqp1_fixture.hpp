#pragma once
/// What the suites of the amqp1 connector share.
#include "tests/contract/amqp1_peer.hpp"
#include "tests/contract/connector_fixture.hpp"

namespace sluice::bridge::test {

class Amqp1Fixture : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("amqp1")) GTEST_SKIP() << why_;
        mock_ = static_cast<Amqp1Peer*>(peer_);
    }
    Confirm confirm_of(std::uint64_t tag, std::uint32_t lane = 0) {
        return feeder_.read([&] { return feeder_.confirmed_.at({lane, tag}); });
    }
    bool wait_stall(const std::string& part) {
        return feeder_.wait(
            [&] {
                return !feeder_.stalls_.empty() && feeder_.stalls_.back().find(part) != std::string::npos;
            },
            std::chrono::seconds(10));
    }
    bool wait_no_stall() {
        return feeder_.wait([&] { return !feeder_.stalls_.empty() && feeder_.stalls_.back().empty(); });
    }
    std::string last_stall() {
        return feeder_.read([&] { return feeder_.stalls_.empty() ? "" : feeder_.stalls_.back(); });
    }
    bool wait_source(const std::string& part) {
        return feeder_.wait(
            [&] {
                return !feeder_.sources_.empty() &&
                       (part.empty() ? feeder_.sources_.back().empty()
                                     : feeder_.sources_.back().find(part) != std::string::npos);
            },
            std::chrono::seconds(10));
    }
    std::string last_source() {
        return feeder_.read([&] { return feeder_.sources_.empty() ? "none" : feeder_.sources_.back(); });
    }
    std::size_t downs() {
        return feeder_.read([&] { return feeder_.downs_.size(); });
    }
    void publish_numbers(int from, int to, std::uint32_t lane = 0) {
        for (int i = from; i < to; ++i) feeder_.publish_text(lane, "plant/a", std::to_string(i));
    }
    /// For what only the peer knows.
    static bool wait_until(const std::function<bool()>& condition) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!condition())
            if (std::chrono::steady_clock::now() > deadline) return false;
        return true;
    }
    static std::vector<std::string> payloads(const std::vector<Received>& all) {
        std::vector<std::string> result;
        for (const auto& received : all) result.push_back(received.payload);
        return result;
    }
    static std::vector<std::string> numbers(int from, int to) {
        std::vector<std::string> result;
        for (int i = from; i < to; ++i) result.push_back(std::to_string(i));
        return result;
    }

    Amqp1Peer* mock_ = nullptr;
};

}  // namespace sluice::bridge::test
