#include "bridge/kafka/engine.hpp"

#include <fmt/format.h>
#include <poll.h>

namespace sluice::bridge::kafka {

void KafkaEngine::run(Worker& worker) {
    while (!worker.stopping()) {
        if (connect(worker)) serve(worker);
        if (worker.stopping() && producer_) drain(worker);
        close(worker, down_reason_);
        if (!worker.pause(backoff_.next())) break;
    }
}

void KafkaEngine::serve(Worker& worker) {
    last_proof_ = last_progress_ = Steady::now();
    worker.up();
    while (!worker.stopping() && down_reason_.empty()) {
        pollfd waiting{worker.wake_fd(), POLLIN, 0};
        ::poll(&waiting, 1, static_cast<int>(wait_time().count()));
        worker.clear_wake();
        PollResult events;
        events.want_topics = wants_topics();
        producer_->poll(events);
        judge(events);
        lanes_.push(worker.take());
        pump();
        worker.retried(lanes_.take_retried());
        worker.confirm(confirms_);
        if (down_reason_.empty()) check_health(worker, events.all_brokers_down);
    }
}

/// At the end of life: waits for the reports of what was sent.
void KafkaEngine::drain(Worker& worker) {
    while (producer_->in_flight() > 0 && down_reason_.empty() && Steady::now() < worker.stop_deadline()) {
        pollfd waiting{worker.wake_fd(), POLLIN, 0};
        ::poll(&waiting, 1, 20);
        worker.clear_wake();
        PollResult events;
        producer_->poll(events);
        judge(events);
        worker.confirm(confirms_);
    }
}

void KafkaEngine::close(Worker& worker, std::string reason) {
    PollResult rest;  // outlives the producer, which may still read the payloads
    if (producer_) {
        producer_->purge(rest);
        for (const Report& report : rest.reports)
            if (report.error == RD_KAFKA_RESP_ERR_NO_ERROR) judge_delivered(report);
        worker.confirm(confirms_);
    }
    if (!worker.stopping()) worker.down(reason);
    producer_.reset();
    lanes_.clear();
}

/// False when librdkafka's queue is full: reports will make room.
bool KafkaEngine::send(LaneQueue& queue, Held held) {
    auto composed = compose(held);
    if (!composed) {
        refuse(held, composed.error().reason, composed.error().outcome);
        return true;
    }
    Record record = std::move(composed).value();
    if (const auto verdict = check_topic(record.held)) {
        settle_bad_topic(std::move(record.held), topic_text_, *verdict);
        return true;
    }
    if (producer_->in_flight() == 0) last_progress_ = Steady::now();
    const auto error = producer_->send(record);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        queue.untake(std::move(record.held));
        return false;
    }
    const std::string text = rd_kafka_err2str(error);
    if (is_missing_topic(error)) {
        const auto verdict = note_bad_topic(record.held, topic_text_, error);
        settle_bad_topic(std::move(record.held), topic_text_, verdict);
    } else if (error == RD_KAFKA_RESP_ERR__FATAL) {
        down_reason_ = text;
    } else if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        refuse(record.held,
               fmt::format("the message is larger than message_bytes_max = {}", settings_.message_bytes_max));
    } else {
        refuse(record.held, text);
    }
    return true;
}

void KafkaEngine::judge(PollResult& events) {
    if (!events.reports.empty()) last_progress_ = Steady::now();
    std::size_t suspects = 0;
    for (Report& report : events.reports) {
        if (report.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            judge_delivered(report);
        } else {
            judge_failure(report, suspects);
        }
    }
    sieve_.refused(suspects);
    if (events.fatal) down_reason_ = fmt::format("fatal error of the producer: {}", *events.fatal);
}

void KafkaEngine::judge_delivered(const Report& report) {
    last_proof_ = Steady::now();
    backoff_.reset();
    if (!report.topic.empty()) bad_topics_.delivered(report.topic);
    lanes_.of(report.held).finished(report.held);
    confirms_.push_back({report.held.out.lane, report.held.out.tag, Outcome::delivered, {}});
}

void KafkaEngine::judge_failure(Report& report, std::size_t& suspects) {
    Held& held = report.held;
    if (is_missing_topic(report.error)) {
        const auto verdict = note_bad_topic(held, report.topic, report.error);
        settle_bad_topic(std::move(held), report.topic, verdict);
    } else if (!is_permanent(report.error)) {
        down_reason_ = fmt::format("topic {}: {}", report.topic, report.text);
    } else if (is_to_blame(held)) {
        refuse(held, fmt::format("topic {}: {}", report.topic, report.text));
    } else {
        ++suspects;
        lanes_.of(held).take_again(std::move(held));
    }
}

void KafkaEngine::settle_bad_topic(Held held, const std::string& topic, BadPlaces::Verdict verdict) {
    if (verdict == BadPlaces::Verdict::refuse) return refuse(held, bad_topics_.reason_of(topic));
    hold_lane(std::move(held));
}

void KafkaEngine::refuse(const Held& held, std::string reason, Outcome outcome) {
    lanes_.of(held).finished(held);
    confirms_.push_back({held.out.lane, held.out.tag, outcome, std::move(reason)});
}

}  // namespace sluice::bridge::kafka
