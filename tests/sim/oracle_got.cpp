// What comes to a receiver: whether it may, how often, and in which order.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/oracle.hpp"

namespace sluice::sim {

using wire::QoS;

void Oracle::got(ClientIndex index, const Got& publish) {
    Client& client = clients_[index];
    if (publish.message == 0 || publish.message > told_.size()) {
        trace_.violation(fmt::format("{} got a message that nobody has sent", client.name));
        return;
    }
    check_strange(client, publish);
    if (publish.retain) return;
    if (client.connection != publish.connection) {
        client.connection = publish.connection;
        client.newest_in_connection.clear();
    }
    const bool first = !client.receipts.contains(publish.message);
    if (!first && !publish.dup && publish.qos != QoS::at_most_once &&
        told(publish.message).transmissions == 1 && client.receipts[publish.message].epoch == client.epoch &&
        !was_handed_on(client, told(publish.message)))
        trace_.violation(fmt::format("{} came to {} again without DUP", words(publish.message), client.name));
    if (!publish.fresh) return;
    check_copies(client, publish);
    check_order(client, publish, first);
}

/// What a member left to this one before a crash that came before the commit, it leaves once more.
bool Oracle::was_handed_on(const Client& client, const Told& told) const {
    return last_crash_ >= told.first_step &&
           std::any_of(client.filters.begin(), client.filters.end(), [&](const auto& one) {
               const auto loss = group_last_loss_.find(one.first);
               return loss != group_last_loss_.end() && loss->second >= told.first_step;
           });
}

void Oracle::check_strange(const Client& client, const Got& publish) {
    const Told& told = told_[publish.message - 1];
    const bool possible = std::any_of(client.filters.begin(), client.filters.end(), [&](const auto& one) {
        const Subscription& sub = one.second;
        const bool in_time = publish.retain || sub.stage != Stage::ended || sub.ended_at >= told.first_step;
        return in_time && matches(one.first, told.topic);
    });
    if (!possible)
        trace_.violation(fmt::format("{} came to {}, who had no subscription for it", words(publish.message),
                                     client.name));
    if (publish.qos > told.qos)
        trace_.violation(fmt::format("{} came to {} with QoS {}", words(publish.message), client.name,
                                     static_cast<int>(publish.qos)));
}

void Oracle::check_copies(Client& client, const Got& publish) {
    const Told& told = told_[publish.message - 1];
    Receipt& receipt = client.receipts[publish.message];
    // A new session knows nothing of what an older one had.
    if (receipt.epoch != client.epoch) receipt = {.epoch = client.epoch};
    ++receipt.copies;
    if (receipt.connection != publish.connection) receipt.in_connection = 0;
    receipt.connection = publish.connection;
    ++receipt.in_connection;
    receipt.exactly_once |= publish.qos == QoS::exactly_once;
    std::uint32_t in_group = 0;
    bool member = false;
    for (const auto& [filter, sub] : client.filters) {
        if (!filter.starts_with("$share/") || !matches(filter, told.topic)) continue;
        in_group = ++group_copies_[filter][publish.message];
        // Nor does anybody know what a member had whose session has ended.
        const auto loss = group_last_loss_.find(filter);
        if (loss != group_last_loss_.end() && loss->second >= told.first_step) in_group = 0;
        member = true;
    }
    if (may_have_been_refused(told)) return;
    if (receipt.exactly_once && (receipt.copies > 1 || in_group > 1))
        trace_.violation(fmt::format("{} came to {} twice, with QoS 2{}", words(publish.message), client.name,
                                     in_group > receipt.copies ? " (one was another member's)" : ""));
    if (told.is_will) return;
    // A QoS 1 message is new to the broker each time that its publisher repeats it.
    const std::uint32_t most = told.qos == QoS::at_least_once ? told.transmissions : 1;
    if (!member && receipt.in_connection > most)
        trace_.violation(fmt::format("{} came to {} {} times by one connection", words(publish.message),
                                     client.name, receipt.in_connection));
}

bool Oracle::held_all_the_time(const Client& client, const Told& told) {
    return std::any_of(client.filters.begin(), client.filters.end(), [&](const auto& one) {
        return one.second.stage == Stage::held && one.second.held_since <= told.first_step &&
               matches(one.first, told.topic);
    });
}

void Oracle::check_order(Client& client, const Got& publish, bool first) {
    const Told& told = told_[publish.message - 1];
    // Members of a group share what comes, and get what others leave.
    if (told.is_will || std::any_of(client.filters.begin(), client.filters.end(),
                                    [](const auto& one) { return one.first.starts_with("$share/"); }))
        return;
    const Lane lane{told.publisher, told.topic, told.qos, publish.qos};
    MessageId& newest = client.newest[lane];
    if (first) {
        // Who subscribed later, or had no room for the first copy, may get only the repetition, which comes
        // behind what was new then.
        // And what a full queue has let go may come again after a crash that was before its commit: with its
        // packet id, and so with DUP, in front of what is repeated with it.
        const bool in_order = (told.transmissions == 1 && !(queues_bounded_ && publish.dup)) ||
                              (!queues_bounded_ && held_all_the_time(client, told));
        if (in_order && publish.message < newest)
            trace_.violation(
                fmt::format("{} came to {} behind message {}", words(publish.message), client.name, newest));
        newest = std::max(newest, publish.message);
    }
    if (told.transmissions != 1) return;
    MessageId& before = client.newest_in_connection[lane];
    if (publish.message < before)
        trace_.violation(fmt::format("{} came to {} behind message {}, by one connection",
                                     words(publish.message), client.name, before));
    before = std::max(before, publish.message);
}

void Oracle::went_up(const std::string& name, MessageId message) {
    if (message == 0 || message > told_.size()) {
        trace_.violation("a message went up that nobody has sent");
        return;
    }
    const Told& told = told_[message - 1];
    const bool first = went_up_[name][message]++ == 0;
    if (!first || told.is_will || refused_up_.contains(message)) return;
    MessageId& newest = newest_up_[{name, {told.publisher, told.topic, told.qos, QoS::at_least_once}}];
    if (message < newest)
        trace_.violation(fmt::format("{} went up by {} behind message {}", words(message), name, newest));
    newest = std::max(newest, message);
}

}  // namespace sluice::sim
