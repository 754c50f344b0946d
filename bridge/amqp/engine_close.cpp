/// AmqpEngine: what is learnt when the server closes the channel, so that the message it closed it over does
/// not close the next one too.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "bridge/amqp/complaint.hpp"
#include "bridge/amqp/engine.hpp"

namespace sluice::bridge::amqp {
namespace {

/// A message to an exchange, or with a routing key, that closed the channel is refused for so long without
/// asking the server again.
constexpr std::chrono::minutes bad_place_for{1};
/// Their names are made of messages: whoever sends them must not fill the memory.
constexpr std::size_t bad_places_max = 1000;

/// Without our own words before it.
std::string server_words(const ServerEvent& closed) {
    const auto at = closed.text.find(fmt::format("{} ", closed.code));
    return at == std::string::npos ? closed.text : closed.text.substr(at);
}

}  // namespace

std::string place_of(std::string_view exchange, std::string_view routing_key) {
    return fmt::format("{}\n{}", exchange, routing_key);
}

void AmqpEngine::learn(const ServerEvent& closed) {
    bool learnt = learn_size_limit(closed.text);
    learnt |= learn_bad_place(closed);
    if (learnt) {
        backoff_.reset();  // the server is well, and others wait for it
    } else if (is_about_a_message(closed.code)) {
        look_for_the_guilty(closed);
    }
}

/// Any other end forgets the limit: the next server, or the same one after a restart, may have another.
bool AmqpEngine::learn_size_limit(const std::string& close_text) {
    const auto limit = size_limit_of(close_text);
    message_bytes_max_ = limit.value_or(UINT64_MAX);
    return limit && std::any_of(sent_.begin(), sent_.end(), [&](const auto& entry) {
               return entry.second.held.out.message->payload().size() > *limit;
           });
}

/// Which place is meant shows by comparison with what was sent: a name may be cut, and may have quotes in it.
/// Where several fit, the messages go one by one, and then one is left.
bool AmqpEngine::learn_bad_place(const ServerEvent& closed) {
    if (closed.code != AMQP_NOT_FOUND && closed.code != AMQP_ACCESS_REFUSED) return false;
    std::optional<std::string> place;
    for (const auto& [tag, sent] : sent_) {
        if (!render(sent.held, MessageView(*sent.held.out.message))) continue;
        const Named named = named_of(closed.text, exchange_, routing_key_);
        if (named == Named::nothing) continue;
        std::string one = named == Named::key ? place_of(exchange_, routing_key_) : exchange_;
        if (place && *place != one) return false;
        place = std::move(one);
    }
    if (!place) return false;
    if (bad_places_.size() >= bad_places_max) bad_places_.erase(bad_places_.begin());
    bad_places_.insert_or_assign(std::move(*place),
                                 BadPlace{.reason = server_words(closed),
                                          .is_forbidden = closed.code == AMQP_ACCESS_REFUSED,
                                          .until = Steady::now() + bad_place_for});
    return true;
}

void AmqpEngine::look_for_the_guilty(const ServerEvent& closed) {
    if (!suspects_.trying()) {
        suspects_.add(sent_);
        log::warn(fmt::format("amqp: what was unconfirmed goes one by one bridge={} messages={} error=\"{}\"",
                              bridge_name_, sent_.size(), closed.text));
        return;
    }
    if (!suspects_.convict()) return;
    for (const auto& [tag, sent] : sent_) {
        if (!suspects_.is_on_trial(sent.held.out)) continue;
        backoff_.reset();
        return refuse(sent.held, server_words(closed));
    }
}

/// Whether one was sent. One that is not confirmed for long did not close the channel: the server takes what
/// comes on a channel in its order.
bool AmqpEngine::try_suspect() {
    const auto now = Steady::now();
    if (!sent_.empty() && !blocked_ && now - last_progress_ > settings_.confirm_timeout) {
        waited_for_ = sent_.next_tag();
        suspects_.end_trial();
    }
    if (suspects_.trying() || sent_.last_tag() >= waited_for_) return false;
    for (auto& [id, lane] : lanes_) {
        if (!may_send(lane, now) || !suspects_.contains(lane.front().out)) continue;
        wants_room_ = !connection_->ready_to_send();
        if (wants_room_) return false;
        Held held = lane.take();
        suspects_.try_alone(held.out);
        last_progress_ = now;
        send(lane, std::move(held));
        return true;
    }
    return false;
}

/// They go before all else, or they would never be alone.
bool AmqpEngine::suspects_go_first() {
    if (suspects_.empty()) return false;
    while (down_reason_.empty() && try_suspect()) {
    }
    if (suspects_.trying()) return true;
    const auto now = Steady::now();
    return std::any_of(lanes_.begin(), lanes_.end(), [&](const auto& entry) {
        return may_send(entry.second, now) && suspects_.contains(entry.second.front().out);
    });
}

}  // namespace sluice::bridge::amqp
