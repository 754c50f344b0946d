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
    std::vector<core::MessagePtr> messages = parts_.retained->match(filter, now().wall);
    if (messages.empty()) return;
    Slot& s = slots_[id];
    if (!s.retained) s.retained = std::make_unique<RetainedRun>();
    RetainedRun& run = *s.retained;
    // Asked for again before all have left: they need not come twice.
    for (RetainedRun::Item& item : run.items) {
        if (item.message && run.wanted[item.wanted].filter == filter) item.message = {};
    }
    const auto known = std::find_if(run.wanted.begin(), run.wanted.end(),
                                    [&](const LinkSpec::Wanted& one) { return one.filter == filter; });
    const auto wanted = static_cast<std::uint32_t>(known - run.wanted.begin());
    if (known == run.wanted.end()) run.wanted.push_back({std::string(filter), options});
    run.wanted[wanted].options = options;
    for (core::MessagePtr& message : messages) {
        run.by_topic.emplace(message->topic(), run.first + run.items.size());
        run.items.push_back({message, std::move(message), wanted});
    }
    go_on_with_retained(id);
}

void Shard::go_on_with_retained(SubscriberId id) {
    Slot& s = slots_[id];
    for (std::size_t sent = 0; s.retained; ++sent) {
        RetainedRun& run = *s.retained;
        if (run.items.empty()) {
            s.retained.reset();
            return;
        }
        if (run.items.size() <= retained_waiting_max) {
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
        const RetainedRun::Item item = std::move(run.items.front());
        const auto [begin, end] = run.by_topic.equal_range(item.topic_of->topic());
        for (auto it = begin; it != end; ++it) {
            if (it->second != run.first) continue;
            run.by_topic.erase(it);
            break;
        }
        run.items.pop_front();
        ++run.first;
        if (item.message) offer_retained(id, item.message, LinkSpec::Wanted(run.wanted[item.wanted]));
    }
}

void Shard::send_retained_of_topic(SubscriberId id, std::string_view topic) {
    RetainedRun& run = *slots_[id].retained;
    const auto [begin, end] = run.by_topic.equal_range(topic);
    std::vector<std::uint64_t> places;
    for (auto it = begin; it != end; ++it) places.push_back(it->second);
    for (const std::uint64_t place : places) {
        RetainedRun::Item& item = run.items[place - run.first];
        if (const core::MessagePtr message = std::exchange(item.message, {}))
            offer_retained(id, message, LinkSpec::Wanted(run.wanted[item.wanted]));
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
