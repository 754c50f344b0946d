#pragma once
/// Topics that give trouble: those that the cluster does not have or not for us, and those that do not take
/// the batches that librdkafka makes. One thread.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "bridge/worker.hpp"

namespace sluice::bridge::kafka {

/// The topics that are missing or closed, and for how long they have been.
class MissingTopics {
  public:
    /// `wait`: as the key `missing_topic_wait`; 0: for ever.
    explicit MissingTopics(std::chrono::milliseconds wait) : wait_(wait) {}

    bool empty() const { return topics_.empty(); }
    /// True while its messages are to wait for it; false: they are to be refused.
    bool note_missing(const std::string& topic, Steady::time_point now) {
        Topic& known = note(topic, now);
        known.closed = false;
        return waits(known, now);
    }
    /// It is there, and this bridge may not write to it.
    void note_closed(const std::string& topic, Steady::time_point now) { note(topic, now).closed = true; }
    void found(std::string_view topic) {
        if (const auto known = topics_.find(topic); known != topics_.end()) topics_.erase(known);
    }
    /// Whether to ask the cluster for this topic before the next message to it. Once for each message that
    /// waits, which the lane's pauses part; seldom for those that do not wait.
    bool should_ask(std::string_view topic, Steady::time_point now) {
        const auto known = topics_.find(topic);
        if (known == topics_.end() || !known->second.ask) return false;
        Topic& found = known->second;
        if (!waits(found, now) && now - found.asked_at < ask_every) return false;
        found.ask = false;
        found.asked_at = now;
        return true;
    }
    /// One that messages wait for; empty when there is none.
    std::string waited_for(Steady::time_point now) const {
        const auto at = std::find_if(topics_.begin(), topics_.end(),
                                     [&](const auto& one) { return waits(one.second, now); });
        return at == topics_.end() ? std::string() : at->first;
    }

  private:
    struct Topic {
        Steady::time_point since;
        Steady::time_point asked_at{};
        bool ask = true;
        bool closed = false;
    };
    static constexpr std::chrono::seconds ask_every{5};
    /// Names are made of messages: whoever sends them must not fill the memory.
    static constexpr std::size_t topics_max = 1000;

    bool waits(const Topic& topic, Steady::time_point now) const {
        return !topic.closed && (wait_.count() == 0 || now - topic.since < wait_);
    }
    Topic& note(const std::string& topic, Steady::time_point now) {
        if (topics_.size() >= topics_max && !topics_.contains(topic)) topics_.erase(topics_.begin());
        Topic& known = topics_.try_emplace(topic, Topic{.since = now}).first->second;
        known.ask = true;
        return known;
    }

    const std::chrono::milliseconds wait_;
    std::map<std::string, Topic, std::less<>> topics_;
};

/// How many messages of one topic travel together after the cluster has refused a batch as a whole: half as
/// many after each refusal, until what fails alone is known; more again as groups succeed. The next group
/// leaves when the last one is answered, so that no younger message overtakes one that is sent again.
class BatchLimit {
  public:
    /// Before the first group: a message of a batch that was refused.
    void count_refused() { ++failed_; }
    /// All that was sent without a limit is answered: groups begin.
    void begin() {
        if (max_ > 0) return;
        max_ = std::max<std::size_t>(1, failed_ / 2);
        failed_ = 0;
    }
    bool begun() const { return max_ > 0; }
    bool may_send() const { return sent_ < max_ && answered_ == 0; }
    bool alone() const { return sent_ == 1; }
    void sent() { ++sent_; }
    /// One of the group was delivered, or refused.
    void answered(bool refused) {
        ++answered_;
        failed_ += refused ? 1 : 0;
        if (answered_ < sent_) return;
        if (failed_ > 0) {
            max_ = std::max<std::size_t>(1, sent_ / 2);
            good_groups_ = 0;
        } else if (sent_ == max_ && ++good_groups_ == groups_before_more) {
            max_ *= 2;
            good_groups_ = 0;
        }
        sent_ = answered_ = failed_ = 0;
    }
    /// Not worth keeping any more.
    bool over() const { return sent_ == 0 && max_ >= 10'000; }

  private:
    static constexpr int groups_before_more = 8;  ///< one group in nine is lost to the attempt

    std::size_t max_ = 0;  ///< 0: what was sent without a limit is under way
    std::size_t sent_ = 0, answered_ = 0, failed_ = 0;
    int good_groups_ = 0;
};

}  // namespace sluice::bridge::kafka
