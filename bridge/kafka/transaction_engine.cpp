#include "bridge/kafka/transaction_engine.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/log.hpp"

namespace sluice::bridge::kafka {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds step_timeout{500};  ///< of one attempt of a blocking call
constexpr milliseconds step_pause{20};     ///< before the next attempt
/// Reports stay in our own queue while librdkafka waits for them: a short attempt, then they are taken.
constexpr milliseconds abort_timeout{50};
constexpr std::size_t records_max = 20'000;    ///< of one transaction
constexpr std::size_t bytes_max = 32UL << 20;  ///< the same; the last one may go beyond
/// A position remembers so many refusals for the case that we end before their dead letters are on disk.
constexpr std::size_t refusals_max = Position::refused_max / 2;

}  // namespace

TransactionEngine::TransactionEngine(ConnectorSpec spec, KafkaSettings settings, ConfPtr conf, ConfPtr plain,
                                     std::string id, std::vector<Route> routes)
    : ProducerEngine(std::move(spec), std::move(settings), std::move(conf), std::move(routes)),
      plain_conf_(std::move(plain)),
      id_(std::move(id)) {}

void TransactionEngine::name_lanes(std::vector<LaneName> lanes) {
    for (const LaneName& lane : lanes) lane_states_[lane.lane].group = group_of(id_, lane.name);
}

void TransactionEngine::run(Worker& worker) {
    while (!worker.stopping()) {
        if (connect(worker) && begin_life(worker)) serve(worker);
        close(worker);
        if (!worker.pause(backoff_.next())) break;
    }
}

/// First whatever our predecessor has left open is ended, then it is read how that has ended.
bool TransactionEngine::begin_life(Worker& worker) {
    const Patience patience{Steady::now() + settings_.connect_timeout, [&] { return worker.stopping(); }};
    Transactions transactions(producer_->handle());
    Step step = transactions.init(step_timeout);
    while (step.end == Step::End::again && !patience.over()) {
        if (!worker.pause(step_pause)) return false;
        step = transactions.init(step_timeout);
    }
    if (step.end != Step::End::done) {
        down_reason_ = std::move(step.text);
        return false;
    }
    down_reason_ = ensure_position_topic(*producer_, settings_.position_topic, patience);
    if (!down_reason_.empty()) return false;
    for (auto& [number, lane] : lane_states_) {
        lane.offered = 0;
        const Patience more{Steady::now() + settings_.connect_timeout, patience.stop};
        auto read = read_position(plain_conf_.get(), token_, settings_.position_topic, lane.group, more);
        if (!read) {
            down_reason_ = read.error();
            return false;
        }
        if (read->is_of_another_store(store_id_)) {
            log_begun_anew(lane);
            *read = {};
        }
        // The cluster forgets positions after a while (offsets.retention.minutes); we do not.
        if (read->sequence >= lane.position.sequence) {
            read->add_refused(lane.position);
            lane.position = std::move(read).value();
        }
        if (!store_id_.empty()) lane.position.store = store_id_;
    }
    return !worker.stopping();
}

void TransactionEngine::serve(Worker& worker) {
    last_proof_ = last_progress_ = Steady::now();
    worker.up();
    while (!worker.stopping() && down_reason_.empty()) {
        if (!anything_ready()) wait(worker, wait_time());
        if (down_reason_.empty() && !worker.stopping() && anything_ready()) run_transaction(worker);
    }
}

void TransactionEngine::close(Worker& worker) {
    PollResult rest;  // outlives the producer, which may still read the payloads
    if (producer_) producer_->purge(rest);
    if (!worker.stopping()) worker.down(down_reason_);
    producer_.reset();
    answered_.clear();
    back_.clear();
    missing_.clear();
    lanes_.clear();
}

void TransactionEngine::log_begun_anew(const LaneState& lane) const {
    log::warn(
        fmt::format("kafka: the spool has begun anew, its position in the cluster is of an earlier one and "
                    "does not count bridge={} group={}",
                    bridge_name_, lane.group));
}

void TransactionEngine::accept(std::vector<Outgoing> offered) {
    // A lane that comes up again may still have had an offer under way, which is of this time then, too.
    std::erase_if(offered, [&](const Outgoing& out) {
        const auto lane = lane_states_.find(out.lane);
        CHECK(lane != lane_states_.end());  // start() has named all
        return out.sequence <=
               std::exchange(lane->second.offered, std::max(lane->second.offered, out.sequence));
    });
    const auto covered = std::stable_partition(offered.begin(), offered.end(), [&](const Outgoing& out) {
        LaneState& lane = lane_states_.at(out.lane);
        Position& position = lane.position;
        if (position.is_of_another_store(out)) {
            log_begun_anew(lane);
            position.begin_anew(out);
        }
        return !position.covers(out);
    });
    for (auto it = covered; it != offered.end(); ++it)
        confirms_.push_back({it->lane, it->tag, Outcome::delivered, {}});
    offered.erase(covered, offered.end());
    lanes_.push(std::move(offered));
}

bool TransactionEngine::anything_ready() {
    const auto now = Steady::now();
    return std::any_of(lanes_.begin(), lanes_.end(), [now](auto& lane) { return lane.second.ready(now); });
}

void TransactionEngine::run_transaction(Worker& worker) {
    failed_ = fell_by_topic_ = explained_ = purged_ = false;
    taken_ = taken_bytes_ = refused_ = 0;
    Transactions transactions(producer_->handle());
    if (!complete(worker, [&](milliseconds) { return transactions.begin(); })) return;
    collect(worker);
    if (!down_reason_.empty()) return;
    if (failed_ || answered_.empty()) return abort(worker);
    const bool committed = send_positions(worker) && complete(worker, [&](milliseconds timeout) {
                               return transactions.commit(timeout);
                           });
    if (!committed) return;
    settle();
    worker.confirm(confirms_);
}

/// Until all that was sent has its report, and time is up or nothing more waits.
void TransactionEngine::collect(Worker& worker) {
    const auto end = Steady::now() + settings_.transaction_time;
    while (down_reason_.empty() && !failed_) {
        // A group of suspects is a transaction of its own, lest it takes others with it when it falls.
        const bool open =
            !worker.stopping() && Steady::now() < end && has_room() && !(sifting_ && taken_ > 0);
        if (open) pump();
        worker.retried(lanes_.take_retried());
        if (failed_) return;
        if (producer_->in_flight() == 0 && (!open || !anything_ready())) return;
        if (worker.stopping() && Steady::now() >= worker.stop_deadline()) {
            failed_ = true;
            return;
        }
        auto longest = wait_time();
        if (open) longest = std::min(longest, std::chrono::ceil<milliseconds>(end - Steady::now()));
        if (worker.stopping()) longest = step_pause;
        wait(worker, std::max(longest, milliseconds(1)));
    }
}

bool TransactionEngine::send_positions(Worker& worker) {
    std::map<std::uint32_t, Position> reached;
    for (const Held& held : answered_) {
        const auto [it, is_new] = reached.try_emplace(held.out.lane);
        if (is_new) it->second = lane_states_.at(held.out.lane).position;
        it->second.note_delivered(held.out);
    }
    Transactions transactions(producer_->handle());
    return std::all_of(reached.begin(), reached.end(), [&](const auto& one) {
        const std::string& group = lane_states_.at(one.first).group;
        return complete(worker, [&](milliseconds timeout) {
            return transactions.send_position(settings_.position_topic, group, one.second, timeout);
        });
    });
}

/// The transaction is committed.
void TransactionEngine::settle() {
    last_proof_ = Steady::now();
    backoff_.reset();
    for (const Held& held : answered_) {
        lane_states_.at(held.out.lane).position.note_delivered(held.out);
        lanes_.of(held).finished(held);
        confirms_.push_back({held.out.lane, held.out.tag, Outcome::delivered, {}});
    }
    answered_.clear();
}

/// And everything back to its place.
void TransactionEngine::abort(Worker& worker) {
    failed_ = true;
    // After a refused batch librdkafka lets the next transaction fall, too: "skipped sequence numbers".
    sieve_.fell();
    Transactions transactions(producer_->handle());
    const bool forbidden =
        purged_ && !explained_ && transactions.trouble() == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    if (!complete(worker, [&](milliseconds) { return transactions.abort(abort_timeout); })) return;
    poll_producer(worker);
    if (forbidden && !fell_by_topic_) find_forbidden();
    std::size_t again = back_.size() + missing_.size() + answered_.size();
    worker.retried(again);
    for (auto* group : {&answered_, &back_}) {
        for (Held& held : *group) {
            LaneQueue& lane = lanes_.of(held);
            lane.untake(std::move(held));
        }
        group->clear();
    }
    for (Held& held : missing_) hold_lane(std::move(held));
    missing_.clear();
    worker.confirm(confirms_);
}

/// One that we know of, or the one that fell alone; otherwise what fell goes through the sieve.
void TransactionEngine::find_forbidden() {
    constexpr auto forbidden = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    if (back_.empty()) return;
    const auto topic_of = [&](const Held& held) {
        const Route& route = routes_.at(held.out.route);
        std::string topic;
        static_cast<void>(route.topic.render(MessageView(*held.out.message), topic, route.append));
        return topic;
    };
    const bool fell_alone = back_.size() == 1 || sieve_.is_alone();
    for (Held& held : std::exchange(back_, {})) {
        const std::string topic = topic_of(held);
        const bool is_alone = fell_alone && back_.empty() && !fell_by_topic_;
        if (is_alone || bad_topics_.knows(topic)) {
            settle_bad_topic(std::move(held), topic, forbidden);
        } else {
            back_.push_back(std::move(held));
        }
    }
    if (fell_by_topic_) return;
    for (Held& held : back_) held.suspect = true;
    sieve_.refused(back_.size());
}

bool TransactionEngine::has_room() const {
    return taken_ < records_max && taken_bytes_ < bytes_max && refused_ < refusals_max;
}

template <class Call>
bool TransactionEngine::complete(Worker& worker, Call call) {
    const auto deadline = Steady::now() + settings_.confirm_timeout;
    while (true) {
        Step step = call(step_timeout);
        if (step.end == Step::End::done) return true;
        poll_producer(worker);
        if (!down_reason_.empty()) return false;
        const auto now = Steady::now();
        const bool too_late = now >= deadline || (worker.stopping() && now >= worker.stop_deadline());
        if (step.end == Step::End::lost || too_late) {
            down_reason_ = std::move(step.text);
            return false;
        }
    }
}

void TransactionEngine::wait(Worker& worker, milliseconds longest) {
    pollfd waiting{worker.wake_fd(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(longest.count()));
    worker.clear_wake();
    poll_producer(worker);
    accept(worker.take());
    worker.confirm(confirms_);
}

void TransactionEngine::poll_producer(Worker& worker) {
    PollResult events;
    events.want_topics = wants_topics();
    producer_->poll(events);
    judge(events);
    if (down_reason_.empty()) check_health(worker, events.all_brokers_down);
}

bool TransactionEngine::send(LaneQueue& queue, Held held) {
    auto composed = compose(held);
    if (!composed) {
        refuse(held, composed.error().reason, composed.error().outcome);
        return true;
    }
    Record record = std::move(composed).value();
    // Asked for before it can spoil the transaction.
    if (const auto verdict = check_topic(record.held)) {
        if (*verdict == BadPlaces::Verdict::refuse) {
            refuse(record.held, bad_topics_.reason_of(topic_text_));
        } else {
            hold_lane(std::move(record.held));
        }
        return true;
    }
    if (producer_->in_flight() == 0) last_progress_ = Steady::now();
    const std::size_t bytes = record.held.out.message->payload().size() + key_text_.size();
    const auto error = producer_->send(record);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ++taken_;
        taken_bytes_ += bytes;
        return true;
    }
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        queue.untake(std::move(record.held));
        return false;
    }
    if (error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {  // librdkafka's own limit: it has not seen it at all
        refuse(record.held,
               fmt::format("the message is larger than message_bytes_max = {}", settings_.message_bytes_max));
        return true;
    }
    failed_ = true;
    explained_ |= error != RD_KAFKA_RESP_ERR__STATE;
    if (is_missing_topic(error)) {
        settle_bad_topic(std::move(record.held), topic_text_, error);
    } else {
        // The transaction has failed already: the report that says why is still to come.
        if (error != RD_KAFKA_RESP_ERR__STATE) down_reason_ = rd_kafka_err2str(error);
        back_.push_back(std::move(record.held));
    }
    return false;
}

void TransactionEngine::judge(PollResult& events) {
    if (!events.reports.empty()) last_progress_ = Steady::now();
    std::size_t suspects = 0;
    for (Report& report : events.reports) {
        if (report.error != RD_KAFKA_RESP_ERR_NO_ERROR) {
            judge_failure(report, suspects);
            continue;
        }
        last_proof_ = Steady::now();
        if (!report.topic.empty()) bad_topics_.delivered(report.topic);
        report.held.suspect = false;
        answered_.push_back(std::move(report.held));
    }
    sieve_.refused(suspects);
    if (events.fatal) down_reason_ = fmt::format("fatal error of the producer: {}", *events.fatal);
}

void TransactionEngine::judge_failure(Report& report, std::size_t& suspects) {
    Held& held = report.held;
    const bool was_failed = std::exchange(failed_, true);
    const bool purged =
        report.error == RD_KAFKA_RESP_ERR__PURGE_QUEUE || report.error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    (purged ? purged_ : explained_) = true;
    if (is_missing_topic(report.error)) {
        settle_bad_topic(std::move(held), report.topic, report.error);
    } else if (is_permanent(report.error)) {
        if (is_to_blame(held)) return refuse(held, fmt::format("topic {}: {}", report.topic, report.text));
        ++suspects;
        back_.push_back(std::move(held));
    } else if (was_failed || purged) {
        back_.push_back(std::move(held));  // fell with the others
    } else {
        down_reason_ = fmt::format("topic {}: {}", report.topic, report.text);
    }
}

void TransactionEngine::settle_bad_topic(Held held, const std::string& topic, rd_kafka_resp_err_t error) {
    fell_by_topic_ = true;
    if (note_bad_topic(held, topic, error) == BadPlaces::Verdict::refuse) {
        refuse(held, bad_topics_.reason_of(topic));
    } else {
        missing_.push_back(std::move(held));
    }
}

/// Whatever becomes of the transaction: it was never a part of one that is committed.
void TransactionEngine::refuse(Held& held, std::string reason, Outcome outcome) {
    ++refused_;
    lane_states_.at(held.out.lane).position.note_refused(held.out);
    lanes_.of(held).finished(held);
    confirms_.push_back({held.out.lane, held.out.tag, outcome, std::move(reason)});
}

}  // namespace sluice::bridge::kafka
