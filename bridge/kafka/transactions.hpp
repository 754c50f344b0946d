#pragma once
/// Transactions: librdkafka's transactional calls on a producer, and what each answer asks for.
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <string>

#include "bridge/kafka/positions.hpp"
#include "bridge/kafka/producer.hpp"

namespace sluice::bridge::kafka {

/// A configuration from make_conf() becomes that of a transactional producer. Empty, or what is wrong.
std::string make_transactional(rd_kafka_conf_t* conf, const KafkaSettings& settings,
                               const std::string& transactional_id);

/// How a call has ended.
struct Step {
    enum class End : std::uint8_t {
        done,
        again,  ///< no answer in time; the same call is to be made again
        lost,   ///< the transaction cannot be committed, or the producer is of no use any more
    };
    End end = End::done;
    std::string text;  ///< one line for the operator; empty when done
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
};

/// Each call blocks for up to its timeout. Reports of records come meanwhile: between two attempts at
/// commit() or abort() the producer is to be polled. One thread.
class Transactions {
  public:
    explicit Transactions(rd_kafka_t* producer) : producer_(producer) {}

    /// Fences whoever had our transactional.id before, and ends what he left open.
    Step init(std::chrono::milliseconds timeout);
    Step begin();
    /// The position is the group's when, and only when, the transaction is committed.
    Step send_position(const std::string& topic, const std::string& group, const Position& position,
                       std::chrono::milliseconds timeout);
    Step commit(std::chrono::milliseconds timeout);
    Step abort(std::chrono::milliseconds timeout);
    /// Of a transaction that has fallen by itself: what the cluster has said. Asked of one that goes on, it
    /// makes the next call fail.
    rd_kafka_resp_err_t trouble();

  private:
    rd_kafka_t* producer_;
};

}  // namespace sluice::bridge::kafka
