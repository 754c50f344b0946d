#include "tests/sim/oracle.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tests/support/topic_oracle.hpp"

namespace sluice::sim {

using wire::QoS;

namespace {

/// Of "$share/GROUP/FILTER".
std::string filter_in(const std::string& text) {
    return text.starts_with("$share/") ? text.substr(text.find('/', 7) + 1) : text;
}

bool is_shared(const std::string& text) {
    return text.starts_with("$share/");
}

}  // namespace

ClientIndex Oracle::add_client(std::string name, std::uint32_t expiry_s) {
    Client client;
    client.name = std::move(name);
    client.persistent = expiry_s > 0;
    client.short_lived = expiry_s < 3600;
    clients_.push_back(std::move(client));
    return static_cast<ClientIndex>(clients_.size() - 1);
}

bool Oracle::matches(const std::string& filter, const std::string& topic) {
    const auto [known, is_new] = matches_.try_emplace({filter, topic});
    if (is_new) known->second = test::oracle_matches(filter_in(filter), topic);
    return known->second;
}

void Oracle::connect_sent(ClientIndex index, bool ends_session) {
    Client& client = clients_[index];
    if (!ends_session) return;
    for (auto& [filter, sub] : client.filters) {
        if (sub.stage != Stage::ended) sub.stage = Stage::leaving;
        if (is_shared(filter)) group_last_loss_[filter] = trace_.step();
    }
}

void Oracle::session_lost(ClientIndex index) {
    Client& client = clients_[index];
    ++client.epoch;
    for (auto& [filter, sub] : client.filters) {
        if (sub.stage == Stage::ended) continue;
        sub.stage = Stage::ended;
        sub.ended_at = trace_.step();
        if (is_shared(filter)) group_last_loss_[filter] = trace_.step();
    }
}

void Oracle::broker_crashed() {
    // Nobody else repeats a will: after a restart the broker may publish it once more.
    for (Told& told : told_)
        if (told.is_will && told.transmissions > 0) ++told.transmissions;
    last_crash_ = trace_.step();
}

bool Oracle::may_be_lost_with_member(const std::string& group, const Told& told) const {
    if (strict_ || last_crash_ < told.first_step) return false;
    return std::any_of(clients_.begin(), clients_.end(), [&](const Client& client) {
        const auto sub = client.filters.find(group);
        return !client.persistent && sub != client.filters.end() &&
               (sub->second.stage != Stage::ended || sub->second.ended_at >= told.first_step);
    });
}

void Oracle::subscribe_sent(ClientIndex index, const std::string& filter) {
    Subscription& sub = clients_[index].filters[filter];
    if (sub.stage == Stage::held) return;
    sub.stage = Stage::asked;
    sub.ended_at = 0;
}

void Oracle::subscribed(ClientIndex index, const std::string& filter) {
    Subscription& sub = clients_[index].filters[filter];
    if (sub.stage == Stage::held) return;
    sub.stage = Stage::held;
    sub.held_since = trace_.step();
}

void Oracle::unsubscribe_sent(ClientIndex index, const std::string& filter) {
    clients_[index].filters[filter].stage = Stage::leaving;
}

void Oracle::unsubscribed(ClientIndex index, const std::string& filter) {
    Subscription& sub = clients_[index].filters[filter];
    sub.stage = Stage::ended;
    sub.ended_at = trace_.step();
}

MessageId Oracle::new_message(Told message) {
    told_.push_back(std::move(message));
    const auto id = static_cast<MessageId>(told_.size());
    Told& told = told_.back();
    told.first_step = trace_.step();
    if (told.retain) retained_[told.topic].push_back(id);
    if (!told.is_will) note_candidates(id, told);
    return id;
}

void Oracle::note_candidates(MessageId id, Told& told) {
    for (ClientIndex i = 0; i < clients_.size(); ++i) {
        const Client& client = clients_[i];
        if (!client.persistent) continue;
        bool ordinary = false;
        for (const auto& [filter, sub] : client.filters) {
            if (sub.stage != Stage::held || !matches(filter, told.topic)) continue;
            if (is_shared(filter)) told.candidates.push_back({id, i, client.epoch, filter});
            ordinary |= !is_shared(filter);
        }
        if (ordinary) told.candidates.push_back({id, i, client.epoch, {}});
    }
}

void Oracle::sent(MessageId message) {
    ++told_[message - 1].transmissions;
}

void Oracle::accepted(MessageId message, bool matched) {
    Told& told = told_[message - 1];
    if (told.accepted) return;
    told.accepted = true;
    bool any = false;
    for (const Due& due : told.candidates) {
        const Client& client = clients_[due.client];
        if (client.epoch != due.epoch) continue;
        const bool held = std::any_of(client.filters.begin(), client.filters.end(), [&](const auto& one) {
            return one.second.stage == Stage::held && one.second.held_since <= told.first_step &&
                   (due.group.empty() ? !is_shared(one.first) : one.first == due.group) &&
                   matches(one.first, told.topic);
        });
        if (!held) continue;
        any |= !client.short_lived;
        if (told.qos != QoS::at_most_once) dues_.push_back(due);
    }
    if (any && !matched)
        trace_.violation(fmt::format("{} was acknowledged with \"no matching subscribers\"", words(message)));
}

void Oracle::will_due(MessageId message) {
    Told& told = told_[message - 1];
    ++told.transmissions;
    told.first_step = trace_.step();
    note_candidates(message, told);
}

void Oracle::will_published(MessageId message) {
    if (!queues_bounded_) accepted(message, true);
}

void Oracle::check_dues(std::uint64_t may_miss) {
    std::uint64_t missed = 0;
    std::set<std::pair<MessageId, std::string>> missed_by_groups;
    for (const Due& due : dues_) {
        if (was_delivered(due) || is_excused(due)) continue;
        // Due to each member, and one copy for all of them.
        if (!due.group.empty() && !missed_by_groups.emplace(due.message, due.group).second) continue;
        if (++missed <= may_miss) continue;
        trace_.violation(fmt::format("{} was acknowledged and did not come to {}{}", words(due.message),
                                     clients_[due.client].name,
                                     due.group.empty() ? "" : ", nor to another member of " + due.group));
    }
    if (lane_filter_.empty()) return;
    for (MessageId id = 1; id <= told_.size(); ++id) {
        const Told& told = told_[id - 1];
        if (told.is_will || !told.accepted || told.qos == QoS::at_most_once) continue;
        if (!matches(lane_filter_, told.topic)) continue;
        const bool up = std::any_of(went_up_.begin(), went_up_.end(),
                                    [id](const auto& lane) { return lane.second.contains(id); });
        if (!up) trace_.violation(words(id) + " was acknowledged and did not go up by the bridge");
    }
}

bool Oracle::was_delivered(const Due& due) const {
    if (due.group.empty()) return clients_[due.client].receipts.contains(due.message);
    const auto group = group_copies_.find(due.group);
    return group != group_copies_.end() && group->second.contains(due.message);
}

/// The session has ended since; of a group also: a QoS 2 message that another member had begun to get when
/// its session ended goes to nobody else [MQTT-4.8.2-5].
bool Oracle::is_excused(const Due& due) const {
    const Told& told = told_[due.message - 1];
    if (clients_[due.client].epoch != due.epoch || may_have_been_refused(told)) return true;
    if (due.group.empty()) return false;
    if (may_be_lost_with_member(due.group, told)) return true;
    const auto sub = clients_[due.client].filters.find(due.group);
    if (sub->second.stage != Stage::held || sub->second.held_since > told.first_step) return true;
    const auto loss = group_last_loss_.find(due.group);
    return told.qos == QoS::exactly_once && loss != group_last_loss_.end() && loss->second >= told.first_step;
}

/// Known: a QoS 2 message that one receiver refused and others took, and whose publisher did not see the
/// refusal, is another message to those others when it is repeated, or is taken for one that was accepted.
bool Oracle::may_have_been_refused(const Told& told) const {
    return !strict_ && queues_bounded_ && told.qos == QoS::exactly_once && told.transmissions > 1;
}

void Oracle::check_retained(const std::string& topic, MessageId found) {
    const auto& all = retained_[topic];
    // What the broker has said yes to, or any later one that it may have taken before the connection went.
    std::size_t from = 0;
    bool any_accepted = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!told_[all[i] - 1].accepted) continue;
        from = i;
        any_accepted = true;
    }
    bool fits = found == 0 && !any_accepted;
    for (std::size_t i = from; i < all.size(); ++i)
        fits |= told_[all[i] - 1].clears ? found == 0 : found == all[i];
    for (std::size_t i = 0; i < from; ++i)
        fits |= may_have_been_refused(told_[all[i] - 1]) && found == (told_[all[i] - 1].clears ? 0 : all[i]);
    if (!fits)
        trace_.violation(fmt::format("topic {}: message {} is retained, the last acknowledged one is {}",
                                     topic, found, any_accepted ? all[from] : 0));
}

std::set<std::string> Oracle::retained_topics() const {
    std::set<std::string> topics;
    for (const auto& [topic, messages] : retained_) topics.insert(topic);
    return topics;
}

std::set<std::string> Oracle::filters_of(ClientIndex client) const {
    std::set<std::string> held;
    for (const auto& [filter, sub] : clients_[client].filters)
        if (sub.stage == Stage::held) held.insert(filter);
    return held;
}

std::string Oracle::words(MessageId id) const {
    const Told& told = told_[id - 1];
    return fmt::format("message {} ({} of {}, QoS {}, {}, first sent in step {}, {} times)", id,
                       told.is_will ? "the will" : "a publish", clients_[told.publisher].name,
                       static_cast<int>(told.qos), told.topic, told.first_step, told.transmissions);
}

}  // namespace sluice::sim
