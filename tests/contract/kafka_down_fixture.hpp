#pragma once
/// What the suites of the kafka connector's down direction share.
#include <algorithm>

#include "tests/contract/connector_fixture.hpp"
#include "tests/contract/kafka_records.hpp"

namespace sluice::bridge::test {

using std::chrono::milliseconds;
using Strings = std::vector<std::string>;

constexpr std::int64_t latest = 0, earliest = 1;  // the choices of `start` by their index

/// Against the mock and, where there is one, a real Kafka: a topic of two partitions, a group of its own,
/// and no way up.
class KafkaDownFixture : public ConnectorFixture, public ::testing::WithParamInterface<std::string> {
  protected:
    void SetUp() override {
        if (!use(GetParam())) GTEST_SKIP() << why_;
        // A node that lives through the whole suite has seen earlier runs of a repeated test.
        place_ += "-" + std::to_string(Feeder::now().time_since_epoch().count());
        peer_->configure_place(settings_, place_);
        routes_ = std::exchange(settings_.spec.routes, {});
        settings_.spec.origin = "gateway-1";
        settings_.add_down();
        settings_.down("topics", Strings{place_});
        settings_.down("group", place_);
        settings_.down("start", earliest);
    }
    void write(const Strings& payloads, int partition = 0) {
        std::vector<NewRecord> records;
        for (const auto& payload : payloads) records.push_back({payload, partition, {}, {}});
        write_topic(peer_->address(), place_, records);
    }
    std::int64_t committed(int partition = 0) {
        return committed_offset(peer_->address(), place_, place_, partition);
    }
    bool wait_committed_offset(std::int64_t offset, int partition = 0) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (committed(partition) != offset)
            if (std::chrono::steady_clock::now() > deadline) return false;
        return true;
    }
    void start_receiving() {
        start();
        ASSERT_TRUE(feeder_.wait_source()) << last_source();
    }
    void stop(milliseconds grace = milliseconds(100)) {
        connector_->stop(grace);
        feeder_.read([&] {
            feeder_.sources_.clear();
            feeder_.incoming_.clear();
            return 0;
        });
    }
    void restart() {
        stop();
        start_receiving();
    }
    std::string last_source() {
        return feeder_.read(
            [&] { return feeder_.sources_.empty() ? "nothing was told" : feeder_.sources_.back(); });
    }
    bool wait_source_problem(const std::string& part) {
        return feeder_.wait([&] {
            return !feeder_.sources_.empty() && feeder_.sources_.back().find(part) != std::string::npos;
        });
    }
    Incoming incoming(std::size_t index) {
        return feeder_.read([&] { return feeder_.incoming_.at(index); });
    }
    static Strings payloads_of(Feeder& feeder) {
        return feeder.read([&] {
            Strings payloads;
            for (const Incoming& one : feeder.incoming_) payloads.push_back(one.payload);
            return payloads;
        });
    }
    Strings payloads() { return payloads_of(feeder_); }
    void settle(std::size_t index, bool kept = true) {
        connector_->settle({{incoming(index).token, kept, kept ? "" : "test"}});
    }
    void settle_all() {
        const auto count = feeder_.read([&] { return feeder_.incoming_.size(); });
        for (std::size_t i = 0; i < count; ++i) settle(i);
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    }

    std::vector<RouteSpec> routes_;  ///< the way up that the tests here do without
};

}  // namespace sluice::bridge::test
