#include "tests/sim/world.hpp"

#include <fmt/format.h>

#include "tests/sim/disk.hpp"
#include "tests/sim/time.hpp"

namespace sluice::sim {

using wire::QoS;

World::World(std::uint64_t seed, const RunOptions& options)
    : random_(seed),
      trace_(options.prints),
      oracle_(trace_, options.strict),
      plan_(make_plan(random_, options.data_dir, options.mutation)),
      upstream_(oracle_, trace_) {
    reset_time();
    Disk::get().reset(seed);
    if (options.mutation == Mutation::sync_ignored) Disk::get().ignore_syncs();
    for (const ClientPlan& client : plan_.clients)
        clients_.push_back(std::make_unique<Client>(client, oracle_, trace_, random_));
    if (plan_.house.limits.queue_messages_max < shard::Limits{}.queue_messages_max) oracle_.bound_queues();
    if (plan_.house.has_bridge) oracle_.lane_there("s/#");
}

void World::print_plan() const {
    const HousePlan& house = plan_.house;
    fmt::print(
        "window {} ms, groups of {}, queue window {}, receive maximum {}, inflight {}, queue {} (policy {}), "
        "bridge {}\n",
        house.window.count(), house.group_messages_max, house.window_messages, house.limits.receive_maximum,
        house.limits.inflight_max, house.limits.queue_messages_max, static_cast<int>(house.limits.queue_full),
        house.has_bridge);
    for (ClientIndex i = 0; i < clients_.size(); ++i) {
        const ClientPlan& client = clients_[i]->plan();
        fmt::print("client {}: {} expiry {} s, receive maximum {}, QoS {}, filters {}\n", i, client.name,
                   client.expiry_s, client.receive_maximum, static_cast<int>(client.subscribed_qos),
                   fmt::join(client.filters, " "));
    }
}

RunResult World::run() {
    if (trace_.prints()) print_plan();
    start();
    while (!trace_.broken() && trace_.step() < plan_.steps) {
        trace_.next_step();
        step();
    }
    if (!trace_.broken()) settle();
    if (!trace_.broken()) oracle_.check_dues(plan_.drops ? dropped_ + house_->messages_dropped() : 0);
    if (!trace_.broken()) check_retained();
    if (!trace_.broken()) check_disk();
    clients_.clear();
    house_.reset();
    return {trace_.violation(), trace_.hash(), trace_.step(), crashes_, oracle_.messages(), oracle_.dues()};
}

void World::step() {
    if (random_.below(plan_.steps_per_crash) == 0) {
        // In the middle of what it writes next, or here and now.
        power_cut_next_ = plan_.power_cuts && random_.one_in(2);
        Disk::get().die_after(random_.one_in(2) ? 0 : random_.between(1, 40));
        trace_.note("dies soon", power_cut_next_);
    }
    const std::uint64_t what = random_.below(100);
    if (what < 30) {
        const std::size_t shard = random_.below(house_->shards());
        trace_.note("turn", shard);
        house_->turn(shard);
    } else if (what < 42) {
        trace_.note("store");
        house_->store_round();
    } else if (what < 52) {
        pass_time();
    } else if (what < 58) {
        move_upstream();
    } else if (what < 60) {
        change_fault();
    } else {
        move_client(*clients_[random_.below(clients_.size())]);
    }
    if (Disk::get().dead()) crash();
}

void World::pass_time() {
    const bool long_time = random_.one_in(40);
    const std::int64_t ms = long_time ? 1500 : static_cast<std::int64_t>(random_.between(1, 15));
    trace_.note("time", ms);
    pass_time_ms(ms);
    // Nobody sleeps through what has come due.
    for (std::size_t i = 0; long_time && i < house_->shards(); ++i) house_->turn(i);
    for (const ClientPtr& client : clients_) client->look_at_will();
}

void World::change_fault() {
    if (!plan_.faults || random_.one_in(2)) return;
    const Fault fault =
        Disk::get().fault() != Fault::none ? Fault::none : random_.of({Fault::no_space, Fault::io_error});
    trace_.note("fault", static_cast<int>(fault));
    Disk::get().set_fault(fault);
}

void World::move_upstream() {
    if (upstream_.lanes() == 0) return;
    const shard::LinkNumber lane = upstream_.lane_at(random_.below(upstream_.lanes()));
    if (!upstream_.is_up(lane)) {
        trace_.note("up", lane);
        house_->tell_lane(lane, upstream_.go_up(lane));
    } else if (random_.one_in(12)) {
        trace_.note("down", lane);
        house_->tell_lane(lane, upstream_.go_down(lane));
    } else if (upstream_.has_unconfirmed(lane)) {
        trace_.note("confirm", lane);
        house_->tell_lane(lane, upstream_.confirm_some(lane, random_, true));
    } else if (random_.one_in(4)) {
        trace_.note("retry", 0);
        house_->retry_dead_letters();
    }
}

void World::move_client(Client& client) {
    if (!client.linked()) {
        if (random_.percent(40)) connect(client);
        return;
    }
    const std::uint64_t what = random_.below(100);
    if (what < 25) {
        client.read_some(random_.one_in(4) ? random_.between(1, 40) : 65536);
    } else if (what < 45) {
        client.write_some(random_.one_in(4) ? random_.between(1, 40) : 65536);
    } else if (what < 60) {
        client.acknowledge_some(random_.between(1, 8));
    } else if (what < 95) {
        begin_something(client);
    } else if (what < 97) {
        client.cut(random_.one_in(2));
    } else if (what < 98) {
        client.leave();
    } else if (what < 99 && random_.one_in(2)) {
        connect(client);
    }
}

void World::connect(Client& client) {
    const bool last_worker = client.plan().filters.size() == 1 &&
                             client.plan().filters.front().starts_with("$share/") &&
                             client.plan().name.starts_with("g1-");
    client.connect(house_->home_of(client.plan().name), !last_worker && random_.one_in(12));
}

void World::begin_something(Client& client) {
    if (client.plan().publishes && random_.percent(85)) return publish_something(client);
    if (!client.plan().filters.empty() && client.may_subscribe()) subscribe_something(client);
}

void World::publish_something(Client& client) {
    for (std::uint64_t n = random_.of({1, 1, 3, 8}); n > 0 && client.may_publish(); --n) {
        const std::size_t padding = random_.one_in(12) ? random_.below(6000) : random_.below(60);
        if (random_.one_in(4)) {
            const std::uint64_t which = random_.below(3);
            // One QoS to a topic, and one publisher: else nobody could say which message comes last.
            client.publish(fmt::format("r/{}/{}", client.plan().name, which), static_cast<QoS>(which), true,
                           random_.one_in(4), padding);
        } else {
            client.publish(
                plan_.live_topics[random_.below(plan_.live_topics.size())],
                random_.of({QoS::at_most_once, QoS::at_least_once, QoS::exactly_once, QoS::exactly_once}),
                false, false, padding);
        }
    }
}

void World::subscribe_something(Client& client) {
    const std::string& filter = client.plan().filters[random_.below(client.plan().filters.size())];
    const bool shared = filter.starts_with("$share/");
    if (!shared && random_.one_in(6)) {
        client.unsubscribe(filter);
    } else {
        client.subscribe(filter);
    }
}

void World::crash() {
    ++crashes_;
    trace_.note("crash", power_cut_next_);
    oracle_.broker_crashed();
    dropped_ += house_->messages_dropped();
    for (const ClientPtr& client : clients_)
        if (client->linked()) client->cut(random_.one_in(2));
    upstream_.broker_ended();
    house_.reset();
    if (power_cut_next_) Disk::get().cut_power();
    power_cut_next_ = false;
    Disk::get().revive();
    if (random_.one_in(4)) pass_time_ms(static_cast<std::int64_t>(random_.between(1, 7000)));
    plan_.house.shards = random_.one_in(3) ? random_.between(1, 3) : plan_.house.shards;
    if (!trace_.broken()) start();
}

/// The store looks at the size of its file before it opens it: a byte says that there is one.
void World::show_store_file() const {
    const std::string path = plan_.house.data_dir + "/sluice.db";
    if (FILE* file = std::fopen(path.c_str(), "w")) {
        if (Disk::get().exists(path)) std::fputc('x', file);
        std::fclose(file);
    }
}

void World::start() {
    trace_.note("start", plan_.house.shards);
    for (;;) {
        show_store_file();
        house_ = std::make_unique<House>(plan_.house, upstream_);
        const auto started = house_->start();
        if (started) break;
        house_.reset();
        upstream_.broker_ended();
        if (Disk::get().fault() == Fault::none)
            return trace_.violation("the store cannot be opened: " + started.error());
        // A disk that takes nothing may keep the broker from starting.
        Disk::get().set_fault(Fault::none);
    }
    if (!house_->damage().empty()) trace_.violation("the store was damaged: " + house_->damage().front());
    for (const ClientPtr& client : clients_) client->broker_began();
}

}  // namespace sluice::sim
