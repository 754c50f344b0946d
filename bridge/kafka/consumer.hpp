#pragma once
/// Consumer: one life of a librdkafka consumer, from rd_kafka_new to rd_kafka_destroy. Turns its callbacks
/// into calls and values; decides nothing.
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "bridge/connector.hpp"
#include "bridge/kafka/producer.hpp"

namespace sluice::bridge::kafka {

/// The librdkafka configuration of a bridge's consumer, as make_conf() is that of its producer.
Result<ConfPtr, std::string> make_consumer_conf(const KafkaSettings& settings, const std::string& group);

/// `route` and `token` are the caller's to set.
Incoming to_incoming(const rd_kafka_message_t& record, WallTime now);

/// A place in a partition: the offset of the record that comes next.
struct PartitionOffset {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = RD_KAFKA_OFFSET_INVALID;  ///< there is none
};
using PartitionOffsets = std::vector<PartitionOffset>;

struct RecordDeleter {
    void operator()(rd_kafka_message_t* record) const { rd_kafka_message_destroy(record); }
};
using RecordPtr = std::unique_ptr<rd_kafka_message_t, RecordDeleter>;

/// Who decides. Called on the thread of and from within Consumer::next() and close().
class ConsumerOwner {
  public:
    virtual ~ConsumerOwner() = default;
    /// Says where each of them begins. False: nothing is assigned.
    virtual bool on_assigned(PartitionOffsets& positions) = 0;
    /// They go to somebody else when this returns; `lost`: they have gone already.
    virtual void on_revoked(const PartitionOffsets& positions, bool lost) = 0;
    /// What a topic or the group lacks. `topic` is empty when it is not about one.
    virtual void on_problem(const std::string& topic, rd_kafka_resp_err_t error, const std::string& text) = 0;
};

/// One thread, except that librdkafka's own threads make `wake_fd` readable.
class Consumer {
  public:
    struct CommitResult {
        rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
        PartitionOffsets done;  ///< those that were committed
    };

    static Result<std::unique_ptr<Consumer>, std::string> open(const rd_kafka_conf_t* conf, int wake_fd,
                                                               std::string bridge_name, ConsumerOwner& owner);
    /// As Producer::set_token().
    std::string set_token(const TokenSource& source, const Token& token, std::function<void()> wake);
    std::string token_problem() const { return tokens_ ? tokens_->problem() : std::string(); }
    /// Blocks while librdkafka's threads end.
    ~Consumer();
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

    /// Empty, or why not.
    std::string subscribe(const std::vector<std::string>& topics);
    /// The next record; none when nothing is there now. Serves everything else as well, and must be called
    /// often: who does not call for max.poll.interval.ms (5 min) is out of the group.
    RecordPtr next();
    /// What is assigned brings nothing more, or again.
    void pause(bool paused);
    /// Asks the cluster for its metadata, up to `timeout`. With `topics` for those of all topics, which has
    /// librdkafka look again for those that it misses; they are added there.
    rd_kafka_resp_err_t probe(std::chrono::milliseconds timeout, std::vector<std::string>* topics = nullptr);
    /// Sets the offsets to what the group has committed.
    rd_kafka_resp_err_t committed(PartitionOffsets& positions, std::chrono::milliseconds timeout);
    /// Sets the offset to the first or behind the last record of the partition.
    rd_kafka_resp_err_t find_end(PartitionOffset& position, Start start, std::chrono::milliseconds timeout);
    /// The answer comes by next_commit_result().
    rd_kafka_resp_err_t commit(const PartitionOffsets& positions);
    std::optional<CommitResult> next_commit_result();
    /// Leaves the group, as far as that can be done until then.
    void close(std::chrono::steady_clock::time_point until);

    /// Since the last call: all brokers are out of reach.
    bool take_all_brokers_down() { return std::exchange(all_brokers_down_, false); }
    const std::optional<std::string>& fatal() const { return fatal_; }
    /// As Producer::last_error().
    const std::string& last_error() const { return security_error_.empty() ? last_error_ : security_error_; }

  private:
    /// What librdkafka carries as its opaque pointer: first what CertificateProblem::verify() expects there.
    struct Opaque : CertificateProblem {
        Consumer* self = nullptr;
    };
    Consumer(int wake_fd, std::string bridge_name, ConsumerOwner& owner);
    static Consumer& of(void* opaque);
    static void on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                             rd_kafka_topic_partition_list_t* list, void* opaque);
    static void on_error(rd_kafka_t* handle, int error, const char* text, void* opaque);
    static void on_log(const rd_kafka_t* handle, int level, const char* facility, const char* text);
    static void on_token_refresh(rd_kafka_t* handle, const char* config, void* opaque);
    void adopt(rd_kafka_t* handle);
    void assign(rd_kafka_topic_partition_list_t* list);

    rd_kafka_t* handle_ = nullptr;
    rd_kafka_queue_t* queue_ = nullptr;    ///< records, and everything else
    rd_kafka_queue_t* commits_ = nullptr;  ///< the answers to commit()
    const int wake_fd_;
    const std::string bridge_name_;
    ConsumerOwner& owner_;
    Opaque opaque_;
    std::unique_ptr<TokenKeeper> tokens_;
    std::string last_error_, security_error_;
    std::optional<std::string> fatal_;
    bool all_brokers_down_ = false;
    bool closed_ = false;
};

}  // namespace sluice::bridge::kafka
