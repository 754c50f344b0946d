#pragma once
/// The down direction of the kafka connector: keeps a consumer alive, hands on what it brings and commits
/// what the bridge has settled.
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bridge/backoff.hpp"
#include "bridge/down_bounds.hpp"
#include "bridge/kafka/consumer.hpp"
#include "bridge/kafka/down_route.hpp"
#include "bridge/kafka/window.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::kafka {

/// An offset is committed when all records before it are settled, so what was not is sent again: after a
/// rebalance, an outage or a restart. What is settled and could not be committed is remembered while the
/// process lives.
class Receiver final : public Engine, private ConsumerOwner {
  public:
    /// `alone`: the bridge has no way up, so the state of this direction is that of the bridge.
    Receiver(const ConnectorSpec& spec, KafkaSettings settings, ConfPtr conf, DownRoutes routes, bool alone);
    void run(Worker& worker) override;

  private:
    using Key = std::pair<std::string, std::int32_t>;  ///< topic and partition
    struct Partition {
        Window window;
        std::size_t row = 0;
    };
    /// A record that is not settled.
    struct Open {
        Key key;
        std::int64_t offset = 0;
        std::size_t bytes = 0;
        bool handed_on = false;
    };

    bool connect(Worker& worker);
    std::string open_consumer(Worker& worker);
    void serve(Worker& worker);
    void finish(Worker& worker);
    void close(Worker& worker);
    std::chrono::milliseconds wait_time() const;
    void wait(Worker& worker, std::chrono::milliseconds longest);

    bool on_assigned(PartitionOffsets& positions) override;
    void on_revoked(const PartitionOffsets& positions, bool lost) override;
    void on_problem(const std::string& topic, rd_kafka_resp_err_t error, const std::string& text) override;
    bool find_starts(PartitionOffsets& positions);
    rd_kafka_resp_err_t find_start(PartitionOffset& position,
                                   const std::map<std::string, bool>& known_topics);
    void forget(const Key& key);

    void receive(Worker& worker);
    void take(const rd_kafka_message_t& record);
    bool has_room() const { return unsettled_ < inflight_max_ && unsettled_bytes_ < down_bytes_max; }
    void hand_on(Incoming incoming);
    void hand_on_held_back();
    void settle(const std::vector<Settled>& settled);
    void settle_until(Worker& worker, Steady::time_point deadline);

    void commit();
    void take_commit_results();
    void commit_until(Steady::time_point deadline);
    PartitionOffsets uncommitted() const;

    void watch(Worker& worker);
    void check_health();
    void look_for_missing_topics();
    void tell_source(Worker& worker);
    std::optional<std::string> source_problem() const;

    const std::string bridge_name_;
    const KafkaSettings settings_;
    const ConfPtr conf_;
    const DownRoutes routes_;
    const std::uint32_t inflight_max_;
    const bool alone_;
    Backoff backoff_;
    std::uint64_t next_token_ = 1;
    /// Settled, but perhaps not committed, of partitions that we do not have now.
    std::map<Key, std::int64_t> settled_positions_;

    // One consumer's worth; reset by connect().
    Worker* worker_ = nullptr;
    std::unique_ptr<Consumer> consumer_;
    std::string down_reason_;  ///< set: this consumer is to be given up
    std::map<Key, Partition> partitions_;
    std::unordered_map<std::uint64_t, Open> open_;  ///< by token
    std::uint32_t unsettled_ = 0;                   ///< of them, those that were handed on
    std::size_t unsettled_bytes_ = 0;
    std::vector<Incoming> incoming_;  ///< to be handed on now
    std::deque<Incoming> held_back_;  ///< came before the pause took hold
    bool paused_ = false;
    bool more_ = false;         ///< the consumer has more for us now
    bool called_back_ = false;  ///< by the consumer, since the last look
    bool committing_ = false;
    Steady::time_point next_commit_{};
    std::optional<Steady::time_point> commit_fails_since_;
    std::string commit_problem_;

    bool joined_ = false;
    Steady::time_point join_deadline_{};
    struct TopicProblem {
        bool missing = false;
        bool there_now = false;  ///< was missing, and waits for the group to take it in
        std::string text;
    };
    std::map<std::string, TopicProblem> topic_problems_;
    std::string group_problem_;
    std::optional<std::string> told_;  ///< what on_source() was told last
    std::optional<Steady::time_point> suspect_since_;
    Steady::time_point last_proof_{};
    Steady::time_point next_probe_{};
};

/// One connector of two, each with its own thread and client: neither direction waits for the other.
std::unique_ptr<Connector> make_duplex(std::unique_ptr<Connector> up, std::unique_ptr<Connector> down);

}  // namespace sluice::bridge::kafka
