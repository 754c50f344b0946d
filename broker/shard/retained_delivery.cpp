// The retained messages of a new subscription, in portions: as fast as the client takes them, so that it
// loses none that it had room for and a million of them does not freeze the shard.
#include <algorithm>
#include <boost/asio/post.hpp>

#include "shard/shard.hpp"

namespace sluice::shard {

using core::SubscriberId;

namespace {

constexpr std::size_t retained_per_portion = 1000;
// What is beyond has to go at once: a client that reads nothing and subscribes on and on would pile them up.
constexpr std::size_t retained_waiting_max = 100'000;

}  // namespace

void Shard::send_retained(SubscriberId id, std::string_view filter,
                          const core::SubscriptionOptions& options) {
    Slot& s = slots_[id];
    // Each of many clients may want all there is: one after the other, as memory comes free.
    const bool put_off =
        memory_level() == MemoryWatch::Level::full || (s.retained && s.retained->any_put_off());
    std::vector<core::MessagePtr> found;
    if (!put_off) found = parts_.retained->match(filter, now().wall);
    if (!put_off && found.empty()) return;
    if (!s.retained) s.retained = std::make_unique<RetainedRun>();
    const RetainedRun::WantedNumber wanted = s.retained->want(filter, options);
    if (put_off) {
        s.retained->put_off(wanted);
        retained_put_off_.push_back({id, s.generation});
        arm_memory_tick();
        return;
    }
    s.retained->append(std::move(found), wanted);
    go_on_with_retained(id);
}

void Shard::look_up_retained() {
    bool looked_up = false;
    while (!looked_up && !retained_put_off_.empty() && memory_level() != MemoryWatch::Level::full) {
        const auto [id, generation] = retained_put_off_.front();
        retained_put_off_.pop_front();
        const Slot& s = slots_[id];
        if (s.generation != generation || !s.retained || !s.retained->any_put_off()) continue;
        const RetainedRun::WantedNumber wanted = s.retained->take_put_off();
        s.retained->append(parts_.retained->match(s.retained->wanted(wanted).filter, now().wall), wanted);
        go_on_with_retained(id);
        looked_up = true;
    }
    // One each time: hundreds of clients that want all there is would make one turn of it.
    if (looked_up && !retained_put_off_.empty()) boost::asio::post(context_, [this] { look_up_retained(); });
}

void Shard::go_on_with_retained(SubscriberId id) {
    Slot& s = slots_[id];
    for (std::size_t sent = 0; s.retained; ++sent) {
        RetainedRun& run = *s.retained;
        if (run.size() == 0) {
            if (run.empty()) s.retained.reset();
            return;
        }
        if (run.size() <= retained_waiting_max) {
            if (s.link && !s.link->has_room()) return;  // it calls when it has
            if (sent >= retained_per_portion) {
                if (run.posted) return;
                run.posted = true;
                boost::asio::post(context_, [this, id, generation = s.generation] {
                    if (slots_[id].generation != generation || !slots_[id].retained) return;
                    slots_[id].retained->posted = false;
                    go_on_with_retained(id);
                });
                turn_full_ = true;
                return;
            }
        }
        if (const auto due = run.pop()) offer_retained(id, due->message, due->wanted);
    }
}

void Shard::offer_retained(SubscriberId id, const core::MessagePtr& message, const LinkSpec::Wanted& wanted) {
    Slot& s = slots_[id];
    if (message->expired(now().wall)) return;              // [MQTT-3.3.2-5]
    if (!s.subscriptions.contains(wanted.filter)) return;  // [MQTT-3.10.4-2]
    if (!may(auth::Action::deliver, s, message->topic())) return;
    core::QueueEntry entry;
    entry.message = message;
    entry.qos = std::min(message->qos(), wanted.options.qos);
    entry.retain = true;  // [MQTT-3.3.1-8]
    if (wanted.options.identifier != 0) entry.subscription_identifiers.push_back(wanted.options.identifier);
    const core::QueueTarget target{s.session->key(), entry.qos, true, entry.subscription_identifiers};
    const bool durable = s.session->durable() && entry.qos != wire::QoS::at_most_once;
    if (durable) entry.row = ++row_counter_ * 256 + index_;
    const core::RowId row = entry.row;
    core::Effects& effects = begin_step();
    const auto offered = s.session->offer(std::move(entry), effects, memory_room());
    if (durable && offered == core::Session::Offered::sent)
        batch_.emplace_back(core::AppendMessage{row, message, {target}});
    execute(id, effects);
}

}  // namespace sluice::shard
