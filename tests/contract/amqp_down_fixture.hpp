#pragma once
/// What the suites of the amqp connector's down direction share.
#include "tests/contract/amqp_peer.hpp"
#include "tests/contract/connector_fixture.hpp"

namespace sluice::bridge::test {

using std::chrono::milliseconds;

inline amqp_table_entry_t text_entry(const char* name, const char* text) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(text);
    return entry;
}

template <class F>
amqp_table_entry_t entry_of(const char* name, amqp_field_value_kind_t kind, F&& set) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = kind;
    set(entry.value.value);
    return entry;
}

class AmqpDownFixture : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("amqp")) GTEST_SKIP() << why_;
        node_ = static_cast<AmqpPeer*>(peer_);
        settings_.spec.routes.clear();
        settings_.spec.origin = "gateway-1";
        settings_.add_down();
        settings_.down("queue", place_);
    }
    void make_queue(const amqp_table_t& arguments = amqp_empty_table) {
        AmqpClient(node_->port()).make_queue(place_, "", "", arguments);
    }
    void publish(const std::string& payload) { AmqpClient(node_->port()).publish(place_, payload); }
    void publish_numbers(int count) {
        AmqpClient client(node_->port());
        for (int i = 0; i < count; ++i) client.publish(place_, std::to_string(i));
    }
    /// Persistent, of 1 MiB and a little.
    void publish_large(int count) {
        AmqpClient client(node_->port());
        amqp_basic_properties_t properties{};
        properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
        properties.delivery_mode = 2;
        const std::string large(1 << 20, 'x');
        for (int i = 0; i < count; ++i) client.publish(place_, std::to_string(i) + "-" + large, properties);
    }
    Incoming incoming(std::size_t index) {
        return feeder_.read([&] { return feeder_.incoming_.at(index); });
    }
    std::size_t incoming_count() {
        return feeder_.read([&] { return feeder_.incoming_.size(); });
    }
    void settle(std::size_t index, bool kept = true) {
        connector_->settle({{incoming(index).token, kept, kept ? "" : "test"}});
    }
    /// Waits until the down direction says this; an empty text: that it receives.
    bool wait_problem(const std::string& part) {
        return feeder_.wait([&] {
            return !feeder_.sources_.empty() &&
                   (part.empty() ? feeder_.sources_.back().empty()
                                 : feeder_.sources_.back().find(part) != std::string::npos);
        });
    }
    std::string last_problem() {
        return feeder_.read([&] { return feeder_.sources_.empty() ? "none" : feeder_.sources_.back(); });
    }
    /// Without a consumer: as the node has it when ours is gone.
    int depth() { return AmqpClient(node_->port()).depth(place_); }
    bool wait_depth(int wanted) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (depth() != wanted)
            if (std::chrono::steady_clock::now() > deadline) return false;
        return true;
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    }
    void break_connections() {
        ASSERT_EQ(peer_->ask("ctl close_all_connections 'by the test'").substr(0, 2), "ok");
    }

    AmqpPeer* node_ = nullptr;
};

}  // namespace sluice::bridge::test
