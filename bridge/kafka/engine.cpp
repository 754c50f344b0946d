#include "bridge/kafka/engine.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace sluice::bridge::kafka {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds probe_every{30'000};  ///< without a sign of life for this long the cluster is asked
constexpr milliseconds outage_after{5'000};  ///< without an answer after trouble began: down
constexpr milliseconds probe_timeout{1'000};

/// The record will not be taken however often it is sent.
bool is_permanent(rd_kafka_resp_err_t error) {
    switch (error) {
        case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
        case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
        case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        case RD_KAFKA_RESP_ERR_INVALID_RECORD:
            return true;
        default:
            return false;
    }
}

/// An operator of the cluster may be about to make it.
bool is_missing_topic(rd_kafka_resp_err_t error) {
    return error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

}  // namespace

KafkaEngine::KafkaEngine(ConnectorSpec spec, KafkaSettings settings, ConfPtr conf, std::vector<Route> routes)
    : bridge_name_(std::move(spec.bridge_name)),
      origin_(std::move(spec.origin)),
      settings_(std::move(settings)),
      conf_(std::move(conf)),
      routes_(std::move(routes)),
      backoff_(backoff_seed(bridge_name_)),
      missing_topics_(settings_.missing_topic_wait),
      lanes_(backoff_seed(bridge_name_)) {}

void KafkaEngine::run(Worker& worker) {
    while (!worker.stopping()) {
        if (connect(worker)) serve(worker);
        if (worker.stopping() && producer_) drain(worker);
        close(worker, down_reason_);
        if (!worker.pause(backoff_.next())) break;
    }
}

/// True when the cluster has answered.
bool KafkaEngine::connect(Worker& worker) {
    lanes_.clear();
    batch_limits_.clear();
    settling_ = false;
    suspect_since_.reset();
    down_reason_.clear();
    stall_.clear();
    down_reason_ = open_producer(worker);
    if (!down_reason_.empty()) return false;
    const auto deadline = Steady::now() + settings_.connect_timeout;
    // Short at first, so that a stop() need not wait; longer later, for links with a long round trip.
    milliseconds timeout{500};
    while (!worker.stopping()) {
        const auto error = producer_->probe(timeout);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
        PollResult events;
        producer_->poll(events);
        if (events.all_brokers_down || events.fatal || Steady::now() >= deadline) {
            const auto& text = producer_->last_error();
            down_reason_ = events.fatal ? *events.fatal : text.empty() ? rd_kafka_err2str(error) : text;
            return false;
        }
        timeout = std::min(timeout * 2, milliseconds(4000));
    }
    return false;
}

std::string KafkaEngine::open_producer(Worker& worker) {
    // Files are replaced while we live, and librdkafka's words for a bad one are hard to read.
    if (auto checked = check_tls(settings_.tls); !checked) return checked.error();
    const TokenSource source{settings_.token_file, settings_.token_command};
    std::optional<Token> token;
    if (!source.empty()) {
        auto fetched = fetch_token(source, {worker.wake_fd(), [&] { return worker.stopping(); }});
        if (!fetched) return fetched.error();
        token = std::move(fetched).value();
    }
    auto opened = Producer::open(conf_.get(), worker.wake_fd(), bridge_name_);
    if (!opened) return fmt::format("cannot make a producer: {}", opened.error());
    producer_ = std::move(opened).value();
    if (!token) return {};
    auto problem = producer_->set_token(source, *token, [&worker] { worker.wake(); });
    return problem.empty() ? problem : fmt::format("{}: {}", source.name(), problem);
}

void KafkaEngine::serve(Worker& worker) {
    last_proof_ = last_progress_ = Steady::now();
    worker.up();
    while (!worker.stopping() && down_reason_.empty()) {
        pollfd waiting{worker.wake_fd(), POLLIN, 0};
        ::poll(&waiting, 1, static_cast<int>(wait_time().count()));
        worker.clear_wake();
        PollResult events;
        events.want_topics = !missing_topics_.empty() || !batch_limits_.empty();
        producer_->poll(events);
        judge(events);
        lanes_.push(worker.take());
        pump();
        worker.confirm(confirms_);
        if (const auto retried = lanes_.take_retried(); retried > 0) worker.retried(retried);
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

void KafkaEngine::pump() {
    if (settling_ && producer_->in_flight() > 0) return;
    if (std::exchange(settling_, false))
        for (auto& [topic, limit] : batch_limits_) limit.begin();
    for (auto& [id, queue] : lanes_)
        if (pump_lane(queue) == Sending::queue_full) return;
}

KafkaEngine::Sending KafkaEngine::pump_lane(LaneQueue& queue) {
    const auto now = Steady::now();
    auto sending = Sending::goes_on;
    while (sending == Sending::goes_on && down_reason_.empty() && queue.ready(now))
        sending = send(queue, queue.take());
    return sending;
}

Result<void, std::string> KafkaEngine::render(const Held& held, const MessageView& view) {
    const Route& route = routes_.at(held.out.route);
    auto rendered = route.topic.render(view, topic_text_, route.append);
    if (rendered) rendered = route.key.render(view, key_text_);
    if (rendered && route.event) rendered = route.event->render(view, {origin_, held.out.sequence}, event_);
    return rendered;
}

/// When librdkafka's queue is full reports will make room.
KafkaEngine::Sending KafkaEngine::send(LaneQueue& queue, Held held) {
    const Route& route = routes_.at(held.out.route);
    const MessageView view(*held.out.message);
    if (auto rendered = render(held, view); !rendered) {
        refuse(held, rendered.error(), Outcome::unmappable);
        return Sending::goes_on;
    }
    if (auto problem = topic_problem(topic_text_); !problem.empty()) {
        refuse(held, std::move(problem));
        return Sending::goes_on;
    }
    const auto limit = batch_limits_.find(topic_text_);
    if (limit != batch_limits_.end() && !limit->second.may_send()) {
        queue.untake(std::move(held));
        return Sending::topic_waits;
    }
    const auto now = Steady::now();
    if (missing_topics_.should_ask(topic_text_, now)) producer_->refresh_topic(topic_text_, probe_timeout);
    const Identity identity{origin_, held.out.sequence};
    Record record{std::move(held), topic_text_, key_text_, {}};
    if (route.headers || route.event)
        record.headers =
            make_headers(view, wall_now(), identity, route.headers, route.event ? &event_ : nullptr);
    if (producer_->in_flight() == 0) last_progress_ = now;
    const auto error = producer_->send(record);
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        queue.untake(std::move(record.held));
        return Sending::queue_full;
    }
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        judge_not_sent(queue, std::move(record.held), error);
    } else if (limit != batch_limits_.end()) {
        limit->second.sent();
    }
    return Sending::goes_on;
}

void KafkaEngine::judge_not_sent(LaneQueue& queue, Held held, rd_kafka_resp_err_t error) {
    if (judge_topic(held, topic_text_, error)) return;
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
        down_reason_ = rd_kafka_err2str(error);
        queue.untake(std::move(held));
    } else if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        refuse(held,
               fmt::format("the message is larger than message_bytes_max = {}", settings_.message_bytes_max));
    } else {
        refuse(held, rd_kafka_err2str(error));
    }
}

void KafkaEngine::judge(PollResult& events) {
    if (!events.reports.empty()) last_progress_ = Steady::now();
    for (Report& report : events.reports) {
        if (report.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            judge_delivered(report);
        } else {
            judge_failure(report);
        }
    }
    if (events.fatal) down_reason_ = fmt::format("fatal error of the producer: {}", *events.fatal);
}

void KafkaEngine::judge_delivered(const Report& report) {
    last_proof_ = Steady::now();
    backoff_.reset();
    if (!report.topic.empty()) {
        missing_topics_.found(report.topic);
        note_answer(report.topic, false);
    }
    lanes_.of(report.held).finished(report.held);
    confirms_.push_back({report.held.out.lane, report.held.out.tag, Outcome::delivered, {}});
}

void KafkaEngine::judge_failure(Report& report) {
    if (is_permanent(report.error)) return judge_refusal(std::move(report.held), report.topic, report.text);
    note_answer(report.topic, false);
    if (!judge_topic(report.held, report.topic, report.error))
        down_reason_ = fmt::format("topic {}: {}", report.topic, report.text);
}

bool KafkaEngine::judge_topic(Held& held, const std::string& topic, rd_kafka_resp_err_t error) {
    const auto now = Steady::now();
    const bool closed = error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    if (!closed && !is_missing_topic(error)) return false;
    const std::string text = rd_kafka_err2str(error);
    if (closed) missing_topics_.note_closed(topic, now);
    if (!closed && missing_topics_.note_missing(topic, now)) {
        warn_of_topic(topic, text);
        lanes_.of(held).put_back(std::move(held), now);
    } else {
        refuse(held, fmt::format("topic {}: {}", topic, text));
    }
    return true;
}

/// The cluster refuses a batch as a whole, and most of it may be innocent: it travels again in halves, and
/// only what fails alone is refused.
void KafkaEngine::judge_refusal(Held held, const std::string& topic, const std::string& text) {
    const auto [limit, is_new] = batch_limits_.try_emplace(topic);
    settling_ |= is_new;
    const bool alone = limit->second.alone();
    if (limit->second.begun()) {
        note_answer(topic, true);
    } else {
        limit->second.count_refused();
    }
    if (alone) {
        refuse(held, fmt::format("topic {}: {}", topic, text));
    } else {
        lanes_.of(held).send_again(std::move(held));
    }
}

void KafkaEngine::note_answer(const std::string& topic, bool refused) {
    const auto limit = batch_limits_.find(topic);
    if (limit == batch_limits_.end() || !limit->second.begun()) return;
    limit->second.answered(refused);
    if (limit->second.over()) batch_limits_.erase(limit);
}

void KafkaEngine::refuse(const Held& held, std::string reason, Outcome outcome) {
    lanes_.of(held).finished(held);
    confirms_.push_back({held.out.lane, held.out.tag, outcome, std::move(reason)});
}

void KafkaEngine::warn_of_topic(const std::string& topic, const std::string& text) {
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    const auto now = std::chrono::duration_cast<milliseconds>(Steady::now().time_since_epoch()).count();
    if (limit.allow(now, suppressed)) {
        log::warn(
            fmt::format("kafka: topic cannot be written, trying again bridge={} topic={} error=\"{}\" "
                        "suppressed={}",
                        bridge_name_, topic, text, suppressed));
    }
}

void KafkaEngine::check_health(Worker& worker, bool all_brokers_down) {
    const auto now = Steady::now();
    const bool waiting = producer_->in_flight() > 0 && now - last_progress_ > settings_.confirm_timeout;
    if (all_brokers_down && !suspect_since_) suspect_since_ = now;
    if (!suspect_since_ && now - last_proof_ > (waiting ? settings_.confirm_timeout : probe_every))
        suspect_since_ = now;
    if (suspect_since_ && now >= next_probe_) {
        const auto error = producer_->probe(probe_timeout);
        next_probe_ = Steady::now() + milliseconds(500);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            suspect_since_.reset();
            last_proof_ = Steady::now();
        } else if (Steady::now() - *suspect_since_ > outage_after) {
            const auto& text = producer_->last_error();
            down_reason_ = fmt::format("the cluster does not answer: {}",
                                       text.empty() ? std::string(rd_kafka_err2str(error)) : text);
            return;
        }
    }
    if (const auto missing = missing_topics_.waited_for(now); !missing.empty()) {
        stall_ = fmt::format("topic {} is missing", missing);
    } else if (waiting) {
        stall_ = fmt::format("the cluster answers but has confirmed nothing for {} s",
                             settings_.confirm_timeout.count() / 1000);
    } else {
        // It goes on until the present token ends or the cluster asks for the next one.
        stall_ = producer_->token_problem();
    }
    worker.stalled(stall_);
}

milliseconds KafkaEngine::wait_time() const {
    const auto now = Steady::now();
    milliseconds wait{producer_->in_flight() > 0 ? 1000 : 5000};
    if (suspect_since_) wait = milliseconds(250);
    const auto at = lanes_.wake_at(now);
    return at == Steady::time_point::max() ? wait : std::min(wait, std::chrono::ceil<milliseconds>(at - now));
}

}  // namespace sluice::bridge::kafka
