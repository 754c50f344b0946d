#include "bridge/kafka/bad_topics.hpp"

#include <utility>

namespace sluice::bridge::kafka {
namespace {

/// Time for a cluster that makes topics by itself.
constexpr std::chrono::seconds named_by_message_wait{10};
/// Where one had to be given up lately topics are not made by themselves: others get no time.
constexpr std::chrono::minutes refused_for{1};
constexpr std::chrono::seconds question_every{1};
/// Their names are made of messages: whoever sends them must not fill the memory.
constexpr std::size_t topics_max = 1000;

}  // namespace

BadTopics::Verdict BadTopics::note(std::string_view name, Named named, Fault fault, std::string reason,
                                   Steady::time_point now) {
    Topic& topic = remember(name, now);
    topic.asked = false;
    topic.reason = std::move(reason);
    // It says how the cluster is set up, and nothing about a topic that was there: a node that has just
    // started may not know of it yet.
    const bool gave_up_lately = last_given_up_ != Steady::time_point::min() &&
                                now - last_given_up_ < refused_for && !proven_.contains(name);
    const bool may_come = fault == Fault::missing && !topic.is_given_up() && !gave_up_lately &&
                          now - topic.since < named_by_message_wait;
    if (named == Named::by_config || may_come) {
        topic.is_waited_for = true;
        return Verdict::wait;
    }
    topic.refused_until = now + refused_for;
    last_given_up_ = now;
    if (const auto found = proven_.find(name); found != proven_.end()) proven_.erase(found);
    topic.is_waited_for = false;
    return Verdict::refuse;
}

BadTopics::Advice BadTopics::before_send(std::string_view name, Named named, Steady::time_point now) {
    const auto found = topics_.find(name);
    if (found == topics_.end()) return Advice::send;
    Topic& topic = found->second;
    if (named == Named::by_message && topic.is_given_up()) {
        if (now < topic.refused_until || now < next_question_) return Advice::refuse;
        next_question_ = now + question_every;
        return Advice::ask;
    }
    if (topic.asked) return Advice::send;
    topic.asked = true;
    return Advice::ask;
}

void BadTopics::delivered(std::string_view name) {
    if (const auto found = topics_.find(name); found != topics_.end()) topics_.erase(found);
    if (proven_.contains(name)) return;
    // Those in use are soon there again.
    if (proven_.size() >= topics_max) proven_.clear();
    proven_.emplace(name);
}

void BadTopics::new_connection() {
    topics_.clear();
    last_given_up_ = next_question_ = Steady::time_point::min();
}

std::string BadTopics::reason_of(std::string_view name) const {
    const auto found = topics_.find(name);
    return found == topics_.end() ? std::string() : found->second.reason;
}

std::string_view BadTopics::waited_for() const {
    for (const auto& [name, topic] : topics_)
        if (topic.is_waited_for) return name;
    return {};
}

BadTopics::Topic& BadTopics::remember(std::string_view name, Steady::time_point now) {
    if (const auto found = topics_.find(name); found != topics_.end()) return found->second;
    if (topics_.size() >= topics_max) forget_one();
    return topics_.emplace(name, Topic{.since = now, .reason = {}}).first->second;
}

/// Of those that nobody waits for, the one that is asked for next.
void BadTopics::forget_one() {
    auto least = topics_.begin();
    const auto rank = [](const Topic& topic) { return std::pair(topic.is_waited_for, topic.refused_until); };
    for (auto it = topics_.begin(); it != topics_.end(); ++it)
        if (rank(it->second) < rank(least->second)) least = it;
    topics_.erase(least);
}

}  // namespace sluice::bridge::kafka
