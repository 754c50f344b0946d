#include "tests/sim/plan.hpp"

#include <fmt/format.h>

namespace sluice::sim {
namespace {

using wire::QoS;

shard::Limits make_limits(Random& random, Plan& plan) {
    shard::Limits limits;
    limits.receive_maximum = random.of<std::uint16_t>({1, 3, 10, 100});
    limits.inflight_max = random.of<std::uint16_t>({1, 2, 5, 100});
    if (random.percent(70)) return limits;
    limits.queue_messages_max = random.of<std::uint32_t>({2, 5, 12});
    limits.queue_full = random.of({shard::QueueFull::reject, shard::QueueFull::reject,
                                   shard::QueueFull::drop_oldest, shard::QueueFull::drop_newest});
    plan.drops = limits.queue_full != shard::QueueFull::reject;
    return limits;
}

std::string some_filter(Random& random) {
    return random.of<const char*>({"s/0", "s/1", "s/2", "s/+", "s/#", "#", "r/#", "r/+/0", "w/#", "+/+"});
}

void add_publishers(Random& random, Plan& plan) {
    for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
        ClientPlan client;
        client.name = fmt::format("p{}-{}", i, random.below(10));
        client.publishes = true;
        client.expiry_s = random.of<std::uint32_t>({0, 5, 3600, 3600, 3600});
        client.receive_maximum = random.of<std::uint16_t>({1, 5, 65535});
        client.has_will = client.expiry_s > 0 && random.one_in(2);
        client.will_delay_s = random.of<std::uint32_t>({0, 0, 2});
        client.will_qos = random.of({QoS::at_most_once, QoS::at_least_once, QoS::exactly_once});
        if (random.one_in(4)) client.filters.push_back(some_filter(random));
        plan.clients.push_back(client);
    }
}

void add_subscribers(Random& random, Plan& plan) {
    for (std::uint64_t i = random.between(1, 4); i > 0; --i) {
        ClientPlan client;
        client.name = fmt::format("s{}-{}", i, random.below(10));
        client.expiry_s = random.of<std::uint32_t>({0, 5, 3600, 3600, 3600, 3600});
        client.receive_maximum = random.of<std::uint16_t>({1, 2, 5, 65535});
        client.subscribed_qos =
            random.of({QoS::exactly_once, QoS::exactly_once, QoS::exactly_once, QoS::at_least_once});
        for (std::uint64_t n = random.between(1, 3); n > 0; --n)
            client.filters.push_back(some_filter(random));
        plan.clients.push_back(client);
    }
}

void add_workers(Random& random, Plan& plan) {
    if (random.one_in(2)) return;
    const std::string group = random.of<const char*>({"$share/g/s/+", "$share/g/s/0", "$share/g/#"});
    for (std::uint64_t i = random.between(1, 3); i > 0; --i) {
        ClientPlan client;
        client.name = fmt::format("g{}-{}", i, random.below(10));
        // The first stays: what the others leave has somewhere to go.
        client.expiry_s = i == 1 ? 3600 : random.of<std::uint32_t>({0, 5, 3600});
        client.receive_maximum = random.of<std::uint16_t>({1, 3, 65535});
        client.filters = {group};
        plan.clients.push_back(client);
    }
}

}  // namespace

Plan make_plan(Random& random, const std::string& data_dir, Mutation mutation) {
    Plan plan;
    plan.house.data_dir = data_dir;
    plan.house.mutation = mutation;
    plan.house.shards = random.between(1, 3);
    plan.house.window = std::chrono::milliseconds(random.of({0, 1, 5, 20}));
    plan.house.group_messages_max = random.of<std::size_t>({1, 4, 256});
    plan.house.window_messages = random.of<std::size_t>({1, 2, 4, 1000});
    plan.house.has_bridge = random.one_in(3);
    plan.house.limits = make_limits(random, plan);
    add_publishers(random, plan);
    add_subscribers(random, plan);
    add_workers(random, plan);
    for (std::uint64_t n = random.between(1, 3); n > 0; --n)
        plan.live_topics.push_back(fmt::format("s/{}", n - 1));
    plan.steps = random.between(300, 1500);
    plan.steps_per_crash = random.of({100, 250, 600});
    plan.faults = random.one_in(3);
    plan.power_cuts = random.one_in(2);
    return plan;
}

}  // namespace sluice::sim
