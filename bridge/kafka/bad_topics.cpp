#include "bridge/kafka/bad_topics.hpp"

#include <utility>

namespace sluice::bridge::kafka {
namespace {

/// Time for a cluster that makes topics by itself.
constexpr std::chrono::seconds named_by_message_wait{10};
constexpr std::chrono::minutes refused_for{1};
/// Their names are made of messages: whoever sends them must not fill the memory.
constexpr std::size_t topics_max = 1000;

}  // namespace

BadTopics::Verdict BadTopics::note(std::string_view name, Named named, Fault fault, std::string reason,
                                   Steady::time_point now) {
    Topic& topic = remember(name, now);
    topic.asked = false;
    topic.reason = std::move(reason);
    if (named == Named::by_config) return Verdict::wait;
    const bool given_up_before = topic.refused_until != Steady::time_point::min();
    const bool may_come = fault == Fault::missing && now - topic.since < named_by_message_wait;
    if (!given_up_before && may_come) return Verdict::wait;
    topic.refused_until = now + refused_for;
    return Verdict::refuse;
}

BadTopics::Advice BadTopics::before_send(std::string_view name, Steady::time_point now) {
    const auto found = topics_.find(name);
    if (found == topics_.end()) return Advice::send;
    Topic& topic = found->second;
    if (now < topic.refused_until) return Advice::refuse;
    if (topic.asked) return Advice::send;
    topic.asked = true;
    return Advice::ask;
}

void BadTopics::forgive(std::string_view name) {
    if (const auto found = topics_.find(name); found != topics_.end()) topics_.erase(found);
}

std::string BadTopics::reason_of(std::string_view name) const {
    const auto found = topics_.find(name);
    return found == topics_.end() ? std::string() : found->second.reason;
}

std::string_view BadTopics::waited_for() const {
    for (const auto& [name, topic] : topics_)
        if (topic.refused_until == Steady::time_point::min()) return name;
    return {};
}

BadTopics::Topic& BadTopics::remember(std::string_view name, Steady::time_point now) {
    if (const auto found = topics_.find(name); found != topics_.end()) return found->second;
    if (topics_.size() >= topics_max) topics_.erase(topics_.begin());
    return topics_.emplace(name, Topic{.since = now, .reason = {}}).first->second;
}

}  // namespace sluice::bridge::kafka
