#pragma once
/// Producer: one life of a librdkafka producer, from rd_kafka_new to rd_kafka_destroy. Turns its events into
/// values; decides nothing.
#include <librdkafka/rdkafka.h>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "bridge/connector.hpp"
#include "bridge/kafka/security.hpp"
#include "bridge/kafka/settings.hpp"
#include "bridge/kafka/token.hpp"
#include "bridge/lane_queue.hpp"

namespace sluice::bridge::kafka {

struct ConfDeleter {
    void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using ConfPtr = std::unique_ptr<rd_kafka_conf_t, ConfDeleter>;

/// The librdkafka configuration of a bridge. The error names key, problem and expectation. It names the files
/// of TLS: each producer made from it reads them anew.
Result<ConfPtr, std::string> make_conf(const KafkaSettings& settings, std::uint32_t inflight_messages_max);

struct HeadersDeleter {
    void operator()(rd_kafka_headers_t* headers) const { rd_kafka_headers_destroy(headers); }
};
using HeadersPtr = std::unique_ptr<rd_kafka_headers_t, HeadersDeleter>;

/// A record ready to go. Views are needed during send() only, except the payload, which stays the message's.
struct Record {
    Held held;
    std::string_view topic;
    std::string_view key;
    std::int64_t timestamp_ms = 0;  ///< since 1970; 0: the time of send()
    HeadersPtr headers;
};

/// The end of a record's way.
struct Report {
    Held held;
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string topic;  ///< of a failed record; of all when PollResult::want_topics
    std::string text;   ///< of the error
};

struct PollResult {
    bool want_topics = false;  ///< set by the caller
    std::vector<Report> reports;
    bool all_brokers_down = false;
    std::optional<std::string> fatal;
};

/// One thread, except that librdkafka's own threads make `wake_fd` readable.
class Producer {
  public:
    static Result<std::unique_ptr<Producer>, std::string> open(const rd_kafka_conf_t* conf, int wake_fd,
                                                               std::string bridge_name);
    /// Right after open(), where SASL is OAUTHBEARER: the first token, and where further ones come from.
    /// Empty, or why the token cannot be used.
    std::string set_token(const TokenSource& source, const Token& token, std::function<void()> wake);
    /// Why there is no fresh token; empty when there is, and where none is wanted.
    std::string token_problem() const { return tokens_ ? tokens_->problem() : std::string(); }
    /// Blocks while librdkafka's threads end.
    ~Producer();
    Producer(const Producer&) = delete;
    Producer& operator=(const Producer&) = delete;

    /// Gives the record to librdkafka. On an error it stays the caller's (`record.held` is untouched).
    rd_kafka_resp_err_t send(Record& record);
    /// Takes the events that are there.
    void poll(PollResult& result);
    /// Asks the cluster for its metadata, up to `timeout`: an answer is the proof that somebody is there.
    rd_kafka_resp_err_t probe(std::chrono::milliseconds timeout);
    /// Asks for a topic again that was missing: librdkafka itself would not for minutes. How it stands now.
    rd_kafka_resp_err_t refresh_topic(const std::string& topic, std::chrono::milliseconds timeout);
    /// Drops all that is unsent or unanswered; the reports of what had been delivered still come.
    void purge(PollResult& result);

    /// For what this class does not know of; stays its own.
    rd_kafka_t* handle() const { return handle_; }
    std::size_t in_flight() const { return in_flight_.size(); }
    /// What librdkafka complained of since the last answer; empty when it did not. Who does not let us in
    /// comes before what follows from it.
    const std::string& last_error() const { return security_error_.empty() ? last_error_ : security_error_; }

  private:
    /// What librdkafka carries as the opaque pointer of a record.
    struct Flight {
        Held held;
        std::list<std::unique_ptr<Flight>>::iterator self;
    };

    Producer(rd_kafka_t* handle, int wake_fd, std::string bridge_name,
             std::unique_ptr<CertificateProblem> certificate);
    void take_reports(rd_kafka_event_t* event, PollResult& result);
    void take_error(rd_kafka_event_t* event, PollResult& result);
    void take_log(rd_kafka_event_t* event);

    rd_kafka_t* handle_;
    rd_kafka_queue_t* queue_;
    std::string bridge_name_;
    std::string last_error_, security_error_;
    std::unique_ptr<CertificateProblem> certificate_;  ///< librdkafka's threads write to it
    std::unique_ptr<TokenKeeper> tokens_;
    std::list<std::unique_ptr<Flight>> in_flight_;
};

}  // namespace sluice::bridge::kafka
