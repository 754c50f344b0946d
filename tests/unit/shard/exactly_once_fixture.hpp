#pragma once
/// Clients of a CrashHouse, receivers of each kind, and the orders in which things happen.
#include "tests/unit/shard/crash_house.hpp"

namespace sluice::shard::test {

/// Each kind of receiver, on both shards.
struct Receivers {
    std::vector<const Client*> each;
    std::vector<std::vector<const Client*>> one_of;
    const Client* at_qos1 = nullptr;  ///< one of `each`, which may get again what it could not acknowledge

    void expect_one_copy(const std::string& payload) const {
        for (const Client* one : each) EXPECT_EQ(one->copies(payload), 1U) << one->id();
        for (const auto& group : one_of) {
            std::size_t copies = 0;
            for (const Client* member : group) copies += member->copies(payload);
            EXPECT_EQ(copies, 1U) << "the shared subscription of " << group.front()->id();
        }
    }
};

/// In what order things happen, over and over: turns of shards and commits.
inline constexpr std::string_view orders[] = {"01c", "10c", "0c1", "001cc", "0111c", "00011ccc"};

class ExactlyOnce : public testing::Test {
  protected:
    void begin(std::size_t shards, Limits limits = {},
               std::shared_ptr<const auth::Authorizer> authorizer = auth::make_allow_all_authorizer()) {
        clients_.clear();
        house_ = std::make_unique<CrashHouse>(shards, limits, std::move(authorizer));
    }
    void TearDown() override {
        clients_.clear();
        house_.reset();
    }
    /// A client whose home is that shard.
    Client& client(const std::string& name, std::size_t shard) {
        for (int i = 0;; ++i) {
            const std::string id = fmt::format("{}-{}", name, i);
            if (house_->home(id) != shard) continue;
            clients_.push_back(std::make_unique<Client>(*house_, id));
            clients_.back()->connect();
            return *clients_.back();
        }
    }
    Client& subscriber(const std::string& name, std::size_t shard, std::string_view filter, wire::QoS qos,
                       bool stays) {
        Client& made = client(name, shard);
        made.subscribe(filter, qos);
        settle();
        if (!stays) made.disconnect();
        settle();
        return made;
    }
    Receivers make_receivers() {
        Receivers r;
        r.each.push_back(&subscriber("local", 0, "t", wire::QoS::exactly_once, false));
        r.each.push_back(&subscriber("remote", 1, "t", wire::QoS::exactly_once, false));
        r.each.push_back(&subscriber("local-live", 0, "#", wire::QoS::exactly_once, true));
        r.each.push_back(&subscriber("remote-live", 1, "+", wire::QoS::exactly_once, true));
        r.each.push_back(r.at_qos1 = &subscriber("remote-qos1", 1, "t", wire::QoS::at_least_once, false));
        r.one_of.push_back(
            {&subscriber("local-member", 0, "$share/local/t", wire::QoS::exactly_once, false)});
        r.one_of.push_back(
            {&subscriber("remote-member", 1, "$share/remote/t", wire::QoS::exactly_once, false)});
        r.one_of.push_back({&subscriber("one", 0, "$share/both/#", wire::QoS::exactly_once, true),
                            &subscriber("two", 1, "$share/both/#", wire::QoS::exactly_once, false),
                            &subscriber("three", 1, "$share/both/#", wire::QoS::exactly_once, true)});
        return r;
    }
    bool attend() {
        bool any = false;
        for (const auto& one : clients_) any |= one->attend();
        return any;
    }
    void settle() {
        house_->settle([this] { return attend(); });
    }
    void go(std::string_view order, std::size_t steps) {
        for (std::size_t i = 0; i < steps; ++i) {
            house_->step(order[i % order.size()]);
            attend();
        }
    }
    /// The process is killed, and all clients come back.
    void crash(std::size_t shards) {
        for (const auto& one : clients_) one->disconnect();
        house_->kill_and_start(shards);
    }
    void all_come_back() {
        for (const auto& one : clients_) one->connect();
        settle();
    }

    std::unique_ptr<CrashHouse> house_;
    std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace sluice::shard::test
