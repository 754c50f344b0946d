#pragma once
/// What the engines of both deliveries share: how a producer is made and proved, what a message is as a
/// record, and when the cluster is to be given up.
#include <optional>
#include <string>
#include <vector>

#include "bridge/backoff.hpp"
#include "bridge/bad_places.hpp"
#include "bridge/cloud_event.hpp"
#include "bridge/connector.hpp"
#include "bridge/kafka/producer.hpp"
#include "bridge/kafka/sieve.hpp"
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
/// Which headers a record has beside its content type.
struct HeaderChoice {
    bool mqtt = true;                   ///< what MQTT said
    bool received = false;              ///< when the broker took the message in
    const CloudEvent* event = nullptr;  ///< nullptr: it is none
};
HeadersPtr make_headers(const MessageView& view, WallTime now, const Identity& identity,
                        const HeaderChoice& choice);

/// The record will not be taken however often it is sent.
bool is_permanent(rd_kafka_resp_err_t error);
/// An operator of the cluster can mend it: a matter for BadPlaces.
bool is_missing_topic(rd_kafka_resp_err_t error);

/// How long one question to the cluster may take where the thread has other things to do.
constexpr std::chrono::milliseconds probe_timeout{1'000};

/// Why a message is not even sent.
struct Refusal {
    std::string reason;
    Outcome outcome = Outcome::refused;
};

/// One thread, but for the construction.
class ProducerEngine : public Engine {
  protected:
    ProducerEngine(ConnectorSpec spec, KafkaSettings settings, ConfPtr conf, std::vector<Route> routes);

    /// Makes a producer and waits for the cluster's first answer. False: down_reason_ says why there is none.
    bool connect(Worker& worker);
    /// Empty when there is a producer, with what it needs to prove itself.
    std::string open_producer(Worker& worker);
    /// The record takes the message over when there is one. Its topic and key stay valid until the next call.
    Result<Record, Refusal> compose(Held& held);
    BadPlaces::Named named(const Held& held) const;
    /// The cluster has said that of the topic of a message.
    BadPlaces::Verdict note_bad_topic(const Held& held, const std::string& topic, rd_kafka_resp_err_t error);
    /// Whether bad_topics_ is to be told where something was delivered.
    bool wants_topics() const { return messages_name_topics_ || !bad_topics_.empty(); }
    /// Before a message goes to topic_text_. None: it may go.
    std::optional<BadPlaces::Verdict> check_topic(const Held& held);
    /// Sends what the lanes let out: of suspects a group at a time, and nothing else meanwhile.
    void pump();
    /// False when nothing more is to be sent now.
    virtual bool send(LaneQueue& lane, Held held) = 0;
    /// Whether anything may be sent.
    virtual bool may_send() const = 0;
    /// A batch was refused as a whole: whether it is this message's fault. If not, it is suspect from now on.
    bool is_to_blame(Held& held);
    /// The lane waits for its topic, perhaps for days: nobody is to travel alone meanwhile because of it.
    void hold_lane(Held held);
    void check_health(Worker& worker, bool all_brokers_down);
    /// How long nothing needs to be looked at while nothing happens.
    std::chrono::milliseconds wait_time() const;

    const std::string bridge_name_, origin_, store_id_;
    const KafkaSettings settings_;
    const ConfPtr conf_;
    const std::vector<Route> routes_;
    const bool messages_name_topics_;  ///< of some route
    Backoff backoff_;

    // One connection's worth; reset by connect().
    std::unique_ptr<Producer> producer_;
    std::optional<Token> token_;  ///< that the producer began with, where SASL is OAUTHBEARER
    LaneSet lanes_;
    Sieve sieve_;
    bool sifting_ = false;  ///< what is under way is a group of suspects, or ends before one is sent
    bool others_turn_ = false;
    std::vector<Confirm> confirms_;
    std::string down_reason_;  ///< set: this connection is to be given up
    BadPlaces bad_topics_;
    Steady::time_point last_proof_{};     ///< the last answer of any kind
    Steady::time_point last_progress_{};  ///< the last report, or since when there was nothing to report

    std::string topic_text_, key_text_;  ///< of the record that was composed last

  private:
    /// True when it was a group of suspects and as large as may be.
    bool pump_group();
    /// Between two groups, of the lanes without suspects. True when something is under way.
    bool pump_others();

    std::optional<Steady::time_point> suspect_since_;
    Steady::time_point next_probe_{};
    std::string stall_;
    CloudEvent event_;
};

}  // namespace sluice::bridge::kafka
