#pragma once
/// The kafka connector, at least once: keeps a producer alive and decides what its reports mean for the
/// bridge.
#include "bridge/kafka/producer_engine.hpp"

namespace sluice::bridge::kafka {

/// Nothing that was sent may be lost or time out in silence, and order is kept: short trouble is left to the
/// idempotent producer, which sends again by itself in order; after real trouble all that is unconfirmed is
/// dropped here (purge), the producer is replaced, and the bridge offers everything again.
class KafkaEngine final : public ProducerEngine {
  public:
    KafkaEngine(ConnectorSpec spec, KafkaSettings settings, ConfPtr conf, std::vector<Route> routes)
        : ProducerEngine(std::move(spec), std::move(settings), std::move(conf), std::move(routes)) {}
    void run(Worker& worker) override;

  private:
    void serve(Worker& worker);
    void drain(Worker& worker);
    void close(Worker& worker, std::string reason);

    bool send(LaneQueue& lane, Held held) override;
    bool may_send() const override { return down_reason_.empty(); }
    void judge(PollResult& result);
    void judge_failure(Report& report, std::size_t& suspects);
    void settle_bad_topic(Held held, const std::string& topic, BadPlaces::Verdict verdict);
    void refuse(const Held& held, std::string reason, Outcome outcome = Outcome::refused);
    void judge_delivered(const Report& report);
};

}  // namespace sluice::bridge::kafka
