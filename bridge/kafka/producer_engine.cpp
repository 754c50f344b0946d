#include "bridge/kafka/producer_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace sluice::bridge::kafka {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds probe_every{30'000};  ///< without a sign of life for this long the cluster is asked
constexpr milliseconds outage_after{5'000};  ///< without an answer after trouble began: down

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

}  // namespace

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

bool is_missing_topic(rd_kafka_resp_err_t error) {
    return error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || error == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
}

ProducerEngine::ProducerEngine(ConnectorSpec spec, KafkaSettings settings, ConfPtr conf,
                               std::vector<Route> routes)
    : bridge_name_(std::move(spec.bridge_name)),
      origin_(std::move(spec.origin)),
      store_id_(std::move(spec.store_id)),
      settings_(std::move(settings)),
      conf_(std::move(conf)),
      routes_(std::move(routes)),
      messages_name_topics_(std::any_of(routes_.begin(), routes_.end(),
                                        [](const Route& route) { return !route.topic.is_literal(); })),
      backoff_(backoff_seed(bridge_name_)),
      lanes_(backoff_seed(bridge_name_)) {}

bool ProducerEngine::connect(Worker& worker) {
    lanes_.clear();
    sieve_ = {};
    sifting_ = others_turn_ = false;
    bad_topics_.new_connection();
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

std::string ProducerEngine::open_producer(Worker& worker) {
    // Files are replaced while we live, and librdkafka's words for a bad one are hard to read.
    if (auto checked = check_tls(settings_.tls); !checked) return checked.error();
    const TokenSource source{settings_.token_file, settings_.token_command};
    token_.reset();
    if (!source.empty()) {
        auto fetched = fetch_token(source, {worker.wake_fd(), [&] { return worker.stopping(); }});
        if (!fetched) return fetched.error();
        token_ = std::move(fetched).value();
    }
    auto opened = Producer::open(conf_.get(), worker.wake_fd(), bridge_name_);
    if (!opened) return fmt::format("cannot make a producer: {}", opened.error());
    producer_ = std::move(opened).value();
    if (!token_) return {};
    auto problem = producer_->set_token(source, *token_, [&worker] { worker.wake(); });
    return problem.empty() ? problem : fmt::format("{}: {}", source.name(), problem);
}

Result<Record, Refusal> ProducerEngine::compose(Held& held) {
    const Route& route = routes_.at(held.out.route);
    const MessageView view(*held.out.message);
    const Identity identity{origin_, held.out.sequence};
    auto rendered = route.topic.render(view, topic_text_, route.append);
    if (rendered) rendered = route.key.render(view, key_text_);
    if (rendered && route.event) rendered = route.event->render(view, identity, event_);
    if (!rendered) return Err{Refusal{rendered.error(), Outcome::unmappable}};
    if (auto problem = topic_problem(topic_text_); !problem.empty()) return Err{Refusal{std::move(problem)}};
    const bool is_sent_time = settings_.timestamp == Timestamp::sent;
    HeadersPtr headers;
    if (route.headers || route.event)
        headers =
            make_headers(view, wall_now(), identity,
                         {route.headers, route.headers && is_sent_time, route.event ? &event_ : nullptr});
    const Millis received = held.out.message->received().time_since_epoch();
    return Record{std::move(held), topic_text_, key_text_, is_sent_time ? 0 : received.count(),
                  std::move(headers)};
}

BadPlaces::Named ProducerEngine::named(const Held& held) const {
    return routes_.at(held.out.route).topic.is_literal() ? BadPlaces::Named::by_config
                                                         : BadPlaces::Named::by_message;
}

BadPlaces::Verdict ProducerEngine::note_bad_topic(const Held& held, const std::string& topic,
                                                  rd_kafka_resp_err_t error) {
    static log::RateLimit limit(10'000);
    const auto now = Steady::now();
    const auto fault = error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ? BadPlaces::Fault::forbidden
                                                                             : BadPlaces::Fault::missing;
    const auto verdict = bad_topics_.note(topic, named(held), fault,
                                          fmt::format("topic {}: {}", topic, rd_kafka_err2str(error)), now);
    std::uint64_t suppressed = 0;
    const auto now_ms = std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
    if (limit.allow(now_ms, suppressed)) {
        log::warn(
            fmt::format("kafka: topic cannot be written, {} bridge={} topic={} error=\"{}\" "
                        "suppressed={}",
                        verdict == BadPlaces::Verdict::wait ? "trying again" : "given up for a minute",
                        bridge_name_, topic, rd_kafka_err2str(error), suppressed));
    }
    return verdict;
}

std::optional<BadPlaces::Verdict> ProducerEngine::check_topic(const Held& held) {
    switch (bad_topics_.before_send(topic_text_, named(held), Steady::now())) {
        case BadPlaces::Advice::send:
            return std::nullopt;
        case BadPlaces::Advice::refuse:
            return BadPlaces::Verdict::refuse;
        case BadPlaces::Advice::ask:
            break;
    }
    const auto error = producer_->refresh_topic(topic_text_, probe_timeout);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
    if (is_missing_topic(error)) return note_bad_topic(held, topic_text_, error);
    return BadPlaces::Verdict::wait;
}

void ProducerEngine::pump() {
    // A group may be settled without anything of it being sent.
    while (pump_group() && producer_->in_flight() == 0) {
    }
}

bool ProducerEngine::pump_group() {
    const auto now = Steady::now();
    const bool idle = producer_->in_flight() == 0;
    if (sifting_ && !idle) return false;
    const auto is_suspect = [&](LaneQueue& queue) { return queue.ready(now) && queue.has_suspects(); };
    sifting_ = std::any_of(lanes_.begin(), lanes_.end(), [&](auto& lane) { return is_suspect(lane.second); });
    if (sifting_ && !idle) return false;
    if (idle) sieve_.begin_group();
    if (sifting_ && std::exchange(others_turn_, false) && pump_others()) return false;
    for (auto& [id, queue] : lanes_) {
        if (sifting_ && !is_suspect(queue)) continue;
        while (may_send() && queue.ready(now) && !(sifting_ && sieve_.is_full())) {
            sieve_.sent();
            if (!send(queue, queue.take())) return false;
        }
    }
    others_turn_ = sifting_;
    return sifting_ && sieve_.is_full() && may_send();
}

bool ProducerEngine::pump_others() {
    const auto now = Steady::now();
    for (auto& [id, queue] : lanes_) {
        while (may_send() && queue.ready(now) && !queue.has_suspects())
            if (!send(queue, queue.take())) return true;
    }
    return producer_->in_flight() > 0;
}

bool ProducerEngine::is_to_blame(Held& held) {
    if (!std::exchange(held.suspect, true) || !sieve_.is_alone()) return false;
    sieve_.refused(1);
    return true;
}

void ProducerEngine::hold_lane(Held held) {
    LaneQueue& lane = lanes_.of(held);
    lane.put_back(std::move(held), Steady::now());
    lane.acquit();
}

void ProducerEngine::check_health(Worker& worker, bool all_brokers_down) {
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
    if (const auto topic = bad_topics_.waited_for(); !topic.empty()) {
        stall_ = fmt::format("topic {} is missing or may not be written", topic);
    } else if (waiting) {
        stall_ = fmt::format("the cluster answers but has confirmed nothing for {} s",
                             settings_.confirm_timeout.count() / 1000);
    } else {
        // It goes on until the present token ends or the cluster asks for the next one.
        stall_ = producer_->token_problem();
    }
    worker.stalled(stall_);
}

milliseconds ProducerEngine::wait_time() const {
    const auto now = Steady::now();
    milliseconds wait{producer_->in_flight() > 0 ? 1000 : 5000};
    if (suspect_since_) wait = milliseconds(250);
    const auto at = lanes_.wake_at(now);
    return at == Steady::time_point::max() ? wait : std::min(wait, std::chrono::ceil<milliseconds>(at - now));
}

}  // namespace sluice::bridge::kafka
