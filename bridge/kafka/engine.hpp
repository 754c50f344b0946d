#pragma once
/// The kafka connector: keeps a producer alive and decides what its reports mean for the bridge.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bridge/backoff.hpp"
#include "bridge/cloud_event.hpp"
#include "bridge/connector.hpp"
#include "bridge/kafka/producer.hpp"
#include "bridge/kafka/topics.hpp"
#include "bridge/lane_queue.hpp"
#include "bridge/mapping.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::kafka {

struct Route {
    Template topic;
    Template key;
    Template::Append append;  ///< into the topic
    bool headers = true;
    std::optional<CloudEventMapping> event;
};

/// Whether Kafka takes this name for a topic; empty when it does, else what is wrong.
std::string topic_problem(std::string_view topic);
/// In a topic's name: the levels of {topic} are parted by '.', as '/' cannot stand there.
void append_topic(std::string& out, Template::Field field, std::string_view value);
/// The same, with '_' for every character that cannot stand there.
void append_topic_replacing(std::string& out, Template::Field field, std::string_view value);
/// `mqtt_headers`: what MQTT said, too. `event`: as a CloudEvent; nullptr: it is none.
HeadersPtr make_headers(const MessageView& view, WallTime now, const Identity& identity, bool mqtt_headers,
                        const CloudEvent* event);

/// Nothing that was sent may be lost or time out in silence, and order is kept: short trouble is left to the
/// idempotent producer, which sends again by itself in order; after real trouble all that is unconfirmed is
/// dropped here (purge), the producer is replaced, and the bridge offers everything again.
class KafkaEngine final : public Engine {
  public:
    KafkaEngine(ConnectorSpec spec, KafkaSettings settings, ConfPtr conf, std::vector<Route> routes);
    void run(Worker& worker) override;

  private:
    bool connect(Worker& worker);
    /// Empty when there is a producer, with what it needs to prove itself.
    std::string open_producer(Worker& worker);
    void serve(Worker& worker);
    void drain(Worker& worker);
    void close(Worker& worker, std::string reason);

    enum class Sending : std::uint8_t { goes_on, topic_waits, queue_full };
    /// Sends what the lanes let out.
    void pump();
    Sending pump_lane(LaneQueue& lane);
    Sending send(LaneQueue& lane, Held held);
    Result<void, std::string> render(const Held& held, const MessageView& view);
    void judge_not_sent(LaneQueue& lane, Held held, rd_kafka_resp_err_t error);
    void judge(PollResult& result);
    void judge_failure(Report& report);
    /// True when the topic cannot be written to: `held` waits or is refused.
    bool judge_topic(Held& held, const std::string& topic, rd_kafka_resp_err_t error);
    void judge_refusal(Held held, const std::string& topic, const std::string& text);
    void refuse(const Held& held, std::string reason, Outcome outcome = Outcome::refused);
    void judge_delivered(const Report& report);
    void note_answer(const std::string& topic, bool refused);
    void warn_of_topic(const std::string& topic, const std::string& text);
    void check_health(Worker& worker, bool all_brokers_down);
    std::chrono::milliseconds wait_time() const;

    const std::string bridge_name_, origin_;
    const KafkaSettings settings_;
    const ConfPtr conf_;
    const std::vector<Route> routes_;
    Backoff backoff_;
    MissingTopics missing_topics_;  ///< outlives connections: they do not make a topic less missing

    // One connection's worth; reset by connect().
    std::unique_ptr<Producer> producer_;
    LaneSet lanes_;
    std::map<std::string, BatchLimit, std::less<>> batch_limits_;  ///< by topic
    bool settling_ =
        false;  ///< a limit is new: nothing is sent until all is answered that was sent without it
    std::vector<Confirm> confirms_;
    std::string down_reason_;  ///< set: this connection is to be given up
    std::optional<Steady::time_point> suspect_since_;
    Steady::time_point last_proof_{};     ///< the last answer of any kind
    Steady::time_point last_progress_{};  ///< the last report, or since when there was nothing to report
    Steady::time_point next_probe_{};
    std::string stall_;
    std::string topic_text_, key_text_;
    CloudEvent event_;
};

}  // namespace sluice::bridge::kafka
