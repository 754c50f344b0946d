// The commits of the down direction, and how it is.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "bridge/kafka/receiver.hpp"

namespace sluice::bridge::kafka {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds commit_every{500};
constexpr milliseconds commit_trouble_after{5'000};  ///< until then it may be a rebalance
constexpr milliseconds probe_every{30'000};   ///< without a sign of life for this long the cluster is asked
constexpr milliseconds outage_after{5'000};   ///< without an answer after trouble began: down
constexpr milliseconds missing_every{3'000};  ///< how often we look for a topic that is missing
constexpr milliseconds probe_timeout{1'000};

}  // namespace

PartitionOffsets Receiver::uncommitted() const {
    PartitionOffsets positions;
    for (const auto& [key, partition] : partitions_)
        if (!partition.window.is_committed())
            positions.push_back({key.first, key.second, partition.window.position()});
    return positions;
}

void Receiver::commit() {
    const auto now = Steady::now();
    if (committing_ || now < next_commit_) return;
    const PartitionOffsets positions = uncommitted();
    if (positions.empty()) return;
    next_commit_ = now + commit_every;
    committing_ = consumer_->commit(positions) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void Receiver::take_commit_results() {
    while (const auto result = consumer_->next_commit_result()) {
        committing_ = false;
        for (const PartitionOffset& done : result->done) {
            const auto found = partitions_.find({done.topic, done.partition});
            if (found != partitions_.end()) found->second.window.set_committed(done.offset);
        }
        const auto now = Steady::now();
        if (result->error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            last_proof_ = now;
            commit_fails_since_.reset();
            commit_problem_.clear();
            group_problem_.clear();
            continue;
        }
        log::debug(fmt::format("kafka: commit failed bridge={} error=\"{}\"", bridge_name_,
                               rd_kafka_err2str(result->error)));
        if (!commit_fails_since_) commit_fails_since_ = now;
        if (now - *commit_fails_since_ > commit_trouble_after)
            commit_problem_ = fmt::format("the offsets of group '{}' cannot be committed: {}",
                                          routes_.group(), rd_kafka_err2str(result->error));
    }
}

void Receiver::commit_until(Steady::time_point deadline) {
    next_commit_ = {};
    for (;;) {
        take_commit_results();
        if (!committing_ && uncommitted().empty()) return;
        commit();
        const auto now = Steady::now();
        if (now >= deadline) return;
        wait(*worker_, std::min(milliseconds(20), std::chrono::ceil<milliseconds>(deadline - now)));
    }
}

void Receiver::on_problem(const std::string& topic, rd_kafka_resp_err_t error, const std::string& text) {
    log::debug(fmt::format("kafka: consumer bridge={} topic={} error=\"{}\"", bridge_name_, topic, text));
    if (topic.empty()) {
        group_problem_ = fmt::format("group '{}': {}", routes_.group(), text);
    } else {
        const bool missing =
            error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
        topic_problems_[topic] = {missing, false, text};
    }
}

void Receiver::watch(Worker& worker) {
    if (consumer_->fatal()) {
        down_reason_ = fmt::format("fatal error of the consumer: {}", *consumer_->fatal());
        return;
    }
    check_health();
    if (!down_reason_.empty()) return;
    look_for_missing_topics();
    tell_source(worker);
    if (alone_) worker.stalled(consumer_->token_problem());
}

void Receiver::check_health() {
    const auto now = Steady::now();
    if (consumer_->take_all_brokers_down() && !suspect_since_) suspect_since_ = now;
    if (!suspect_since_ && now - last_proof_ > probe_every) suspect_since_ = now;
    if (!suspect_since_ || now < next_probe_) return;
    const auto error = consumer_->probe(probe_timeout);
    next_probe_ = Steady::now() + milliseconds(500);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        suspect_since_.reset();
        last_proof_ = Steady::now();
    } else if (Steady::now() - *suspect_since_ > outage_after) {
        const auto& text = consumer_->last_error();
        down_reason_ = fmt::format("the cluster does not answer: {}",
                                   text.empty() ? std::string(rd_kafka_err2str(error)) : text);
    }
}

/// librdkafka itself would look again in a minute, and tells when it misses a topic, not when it does not.
void Receiver::look_for_missing_topics() {
    if (topic_problems_.empty() || suspect_since_ || Steady::now() < next_probe_) return;
    next_probe_ = Steady::now() + missing_every;
    std::vector<std::string> topics;
    if (consumer_->probe(probe_timeout, &topics) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    for (const std::string& topic : topics) {
        const auto found = topic_problems_.find(topic);
        if (found == topic_problems_.end() || !found->second.missing) continue;
        // The group changes hands now, unless it has done so and the topic went to another.
        if (joined_ && found->second.there_now) {
            topic_problems_.erase(found);
        } else {
            found->second.there_now = true;
        }
    }
}

/// Empty: we receive. None: that cannot be said yet.
std::optional<std::string> Receiver::source_problem() const {
    if (!topic_problems_.empty())
        return fmt::format("topic '{}': {}", topic_problems_.begin()->first,
                           topic_problems_.begin()->second.text);
    if (!group_problem_.empty()) return group_problem_;
    if (!commit_problem_.empty()) return commit_problem_;
    if (!joined_) {
        if (Steady::now() < join_deadline_) return std::nullopt;
        const auto& text = consumer_->last_error();
        return fmt::format("group '{}' does not let us in{}{}", routes_.group(), text.empty() ? "" : ": ",
                           text);
    }
    // Before the place where a new group begins is kept, a restart would begin at another one.
    const auto unknown = [](const auto& entry) { return entry.second.window.committed() < 0; };
    if (std::any_of(partitions_.begin(), partitions_.end(), unknown)) return std::nullopt;
    return std::string();
}

void Receiver::tell_source(Worker& worker) {
    auto problem = source_problem();
    if (!problem || problem == told_) return;
    told_ = std::move(problem);
    worker.source(*told_);
}

}  // namespace sluice::bridge::kafka
