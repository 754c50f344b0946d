#pragma once
/// The kafka connector, exactly once: messages go up in transactions, each of which also carries how far
/// every lane of it has got. What the cluster remembers of that decides after a restart what is still to be
/// sent.
#include <map>
#include <string>
#include <vector>

#include "bridge/kafka/positions.hpp"
#include "bridge/kafka/producer_engine.hpp"
#include "bridge/kafka/transactions.hpp"

namespace sluice::bridge::kafka {

/// One transaction at a time: it takes in what the lanes have, waits for all reports, and is committed. Only
/// then its messages are confirmed. Where one of them fails the transaction is aborted and the rest goes
/// again. What cannot be settled that way (the commit has no answer, somebody fenced us) ends this producer;
/// the next one makes an end of the open transaction and reads how it has ended.
class TransactionEngine final : public ProducerEngine {
  public:
    /// `plain`: what the readers of positions are made of. `conf`: the same, made transactional with `id`.
    TransactionEngine(ConnectorSpec spec, KafkaSettings settings, ConfPtr conf, ConfPtr plain, std::string id,
                      std::vector<Route> routes);
    void run(Worker& worker) override;
    void name_lanes(std::vector<LaneName> lanes) override;
    bool wants_durable() const override { return true; }

  private:
    struct LaneState {
        std::string group;
        std::uint64_t offered = 0;  ///< the highest number since we are up
        Position position;          ///< of committed transactions; refusals also before that
    };

    bool begin_life(Worker& worker);
    void serve(Worker& worker);
    void close(Worker& worker);
    void log_begun_anew(const LaneState& lane) const;
    /// Takes what was offered; what the position covers is confirmed here.
    void accept(std::vector<Outgoing> offered);
    bool anything_ready();

    void run_transaction(Worker& worker);
    void collect(Worker& worker);
    bool send_positions(Worker& worker);
    void settle();
    void abort(Worker& worker);
    /// The transaction fell since a topic in it may not be written; the cluster does not say which.
    void find_forbidden();
    bool has_room() const;
    /// Calls until it is done. False: down_reason_ says why not.
    template <class Call>
    bool complete(Worker& worker, Call call);
    void wait(Worker& worker, std::chrono::milliseconds longest);
    void poll_producer(Worker& worker);

    bool send(LaneQueue& lane, Held held) override;
    bool may_send() const override { return !failed_ && has_room(); }
    void judge(PollResult& events);
    void judge_failure(Report& report, std::size_t& suspects);
    /// The transaction has failed by it.
    void settle_bad_topic(Held held, const std::string& topic, rd_kafka_resp_err_t error);
    void refuse(Held& held, std::string reason, Outcome outcome = Outcome::refused);

    const ConfPtr plain_conf_;
    const std::string id_;
    std::map<std::uint32_t, LaneState> lane_states_;  ///< all lanes that there are

    // Of the open transaction.
    std::vector<Held> answered_;  ///< the cluster has them
    std::vector<Held> back_;      ///< they fell with the transaction
    std::vector<Held> missing_;   ///< their topics are not there: their lanes wait
    bool failed_ = false;         ///< it must be aborted
    bool explained_ = false;      ///< something else failed than by a purge, which follows a failure
    bool purged_ = false;
    bool fell_by_topic_ = false;  ///< we know which
    std::size_t taken_ = 0, taken_bytes_ = 0, refused_ = 0;
};

}  // namespace sluice::bridge::kafka
