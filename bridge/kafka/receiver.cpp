#include "bridge/kafka/receiver.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>

#include "base/log.hpp"

namespace sluice::bridge::kafka {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds probe_timeout{1'000};
constexpr milliseconds settle_wait{
    1'000};  ///< before partitions go: what is settled then does not come twice
constexpr milliseconds last_commit_wait{1'500};
constexpr milliseconds leave_wait{1'500};
constexpr milliseconds leave_wait_when_dead{200};
/// Of one round: settling and commits must not wait for longer.
constexpr int round_records_max = 256;

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

}  // namespace

Receiver::Receiver(const ConnectorSpec& spec, KafkaSettings settings, ConfPtr conf, DownRoutes routes,
                   bool alone)
    : bridge_name_(spec.bridge_name),
      settings_(std::move(settings)),
      conf_(std::move(conf)),
      routes_(std::move(routes)),
      inflight_max_(std::max<std::uint32_t>(spec.down_inflight_max, 1)),
      alone_(alone),
      backoff_(backoff_seed(bridge_name_)) {}

void Receiver::run(Worker& worker) {
    worker_ = &worker;
    while (!worker.stopping()) {
        if (connect(worker)) serve(worker);
        if (worker.stopping() && consumer_) finish(worker);
        close(worker);
        if (!worker.pause(backoff_.next())) break;
    }
}

/// True when the cluster has answered and was told what we want.
bool Receiver::connect(Worker& worker) {
    joined_ = paused_ = more_ = committing_ = false;
    topic_problems_.clear();
    group_problem_.clear();
    commit_problem_.clear();
    commit_fails_since_.reset();
    suspect_since_.reset();
    told_.reset();
    next_commit_ = {};
    down_reason_ = open_consumer(worker);
    if (!down_reason_.empty()) return false;
    const auto deadline = Steady::now() + settings_.connect_timeout;
    // Short at first, so that a stop() need not wait; longer later, for links with a long round trip.
    milliseconds timeout{500};
    auto error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (!worker.stopping() && error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        error = consumer_->probe(timeout);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
        consumer_->next();
        if (consumer_->take_all_brokers_down() || consumer_->fatal() || Steady::now() >= deadline) {
            const auto& text = consumer_->last_error();
            down_reason_ = consumer_->fatal() ? *consumer_->fatal()
                           : text.empty()     ? rd_kafka_err2str(error)
                                              : text;
            return false;
        }
        timeout = std::min(timeout * 2, milliseconds(4000));
    }
    if (worker.stopping()) return false;
    down_reason_ = consumer_->subscribe(routes_.topics());
    join_deadline_ = Steady::now() + settings_.connect_timeout;
    last_proof_ = Steady::now();
    return down_reason_.empty();
}

std::string Receiver::open_consumer(Worker& worker) {
    // Files are replaced while we live, and librdkafka's words for a bad one are hard to read.
    if (auto checked = check_tls(settings_.tls); !checked) return checked.error();
    const TokenSource source{settings_.token_file, settings_.token_command};
    std::optional<Token> token;
    if (!source.empty()) {
        auto fetched = fetch_token(source, {worker.wake_fd(), [&] { return worker.stopping(); }});
        if (!fetched) return fetched.error();
        token = std::move(fetched).value();
    }
    auto opened = Consumer::open(conf_.get(), worker.wake_fd(), bridge_name_, *this);
    if (!opened) return fmt::format("cannot make a consumer: {}", opened.error());
    consumer_ = std::move(opened).value();
    if (!token) return {};
    auto problem = consumer_->set_token(source, *token, [&worker] { worker.wake(); });
    return problem.empty() ? problem : fmt::format("{}: {}", source.name(), problem);
}

void Receiver::serve(Worker& worker) {
    if (alone_) worker.up();
    while (!worker.stopping() && down_reason_.empty()) {
        settle(worker.take_settled());
        receive(worker);
        take_commit_results();
        commit();
        watch(worker);
        // Who was called back may have waited, and have seen a wake that was not for it.
        if (!more_ && !std::exchange(called_back_, false) && down_reason_.empty()) wait(worker, wait_time());
    }
}

/// At the end of life: what the bridge is about to settle need not come again.
void Receiver::finish(Worker& worker) {
    settle_until(worker, worker.stop_deadline());
    commit_until(Steady::now() + last_commit_wait);
}

void Receiver::close(Worker& worker) {
    if (consumer_) consumer_->close(Steady::now() + (suspect_since_ ? leave_wait_when_dead : leave_wait));
    consumer_.reset();
    while (!partitions_.empty()) forget(Key(partitions_.begin()->first));
    open_.clear();
    incoming_.clear();
    held_back_.clear();
    unsettled_ = 0;
    unsettled_bytes_ = 0;
    if (worker.stopping()) return;
    worker.source(down_reason_);
    if (alone_) worker.down(down_reason_);
}

void Receiver::wait(Worker& worker, milliseconds longest) {
    pollfd waiting{worker.wake_fd(), POLLIN, 0};
    ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(longest.count(), 0)));
    worker.clear_wake();
}

milliseconds Receiver::wait_time() const {
    milliseconds longest{joined_ ? 5000 : 250};
    if (suspect_since_ || !topic_problems_.empty()) longest = milliseconds(250);
    const bool has_uncommitted = std::any_of(partitions_.begin(), partitions_.end(), [](const auto& entry) {
        return !entry.second.window.is_committed();
    });
    if (!has_uncommitted || committing_) return longest;
    return std::min(longest, std::chrono::ceil<milliseconds>(next_commit_ - Steady::now()));
}

void Receiver::receive(Worker& worker) {
    hand_on_held_back();
    more_ = true;
    for (int i = 0; i < round_records_max && more_; ++i) {
        const RecordPtr record = consumer_->next();
        more_ = record != nullptr;
        if (record) take(*record);
    }
    worker.incoming(std::exchange(incoming_, {}));
    const bool full = !has_room() || !held_back_.empty();
    const bool roomy = unsettled_ <= inflight_max_ / 2 && unsettled_bytes_ <= down_bytes_max / 2;
    if (joined_ && full && !paused_) consumer_->pause(paused_ = true);
    if (paused_ && roomy && !full) {
        consumer_->pause(paused_ = false);
        more_ = true;
    }
}

void Receiver::take(const rd_kafka_message_t& record) {
    const auto found = partitions_.find({rd_kafka_topic_name(record.rkt), record.partition});
    if (found == partitions_.end()) return;  // it is another's now
    Partition& partition = found->second;
    if (!partition.window.is_behind(record.offset)) {
        // The topic was made anew, or records were removed: its offsets begin again.
        const std::size_t row = partition.row;
        const Key key = found->first;
        forget(key);
        settled_positions_.erase(key);
        partitions_.emplace(key, Partition{Window(record.offset, RD_KAFKA_OFFSET_INVALID), row});
        return take(record);
    }
    partition.window.add(record.offset);
    last_proof_ = Steady::now();
    topic_problems_.erase(found->first.first);
    Incoming incoming = to_incoming(record, wall_now());
    incoming.route = static_cast<std::uint32_t>(partition.row);
    incoming.token = next_token_++;
    open_.emplace(incoming.token, Open{found->first, record.offset, record.len + record.key_len, false});
    if (!held_back_.empty() || !has_room()) {
        held_back_.push_back(std::move(incoming));
    } else {
        hand_on(std::move(incoming));
    }
}

void Receiver::hand_on(Incoming incoming) {
    const auto found = open_.find(incoming.token);
    if (found == open_.end()) return;  // void meanwhile
    found->second.handed_on = true;
    ++unsettled_;
    unsettled_bytes_ += found->second.bytes;
    incoming_.push_back(std::move(incoming));
}

void Receiver::hand_on_held_back() {
    while (!held_back_.empty() && has_room()) {
        hand_on(std::move(held_back_.front()));
        held_back_.pop_front();
    }
}

void Receiver::settle(const std::vector<Settled>& settled) {
    for (const Settled& one : settled) {
        const auto found = open_.find(one.token);
        if (found == open_.end() || !found->second.handed_on) continue;
        --unsettled_;
        unsettled_bytes_ -= found->second.bytes;
        if (const auto partition = partitions_.find(found->second.key); partition != partitions_.end())
            partition->second.window.settle(found->second.offset);
        open_.erase(found);
    }
    // The next outage's first attempt may come soon again: the cluster works.
    if (!settled.empty()) backoff_.reset();
}

void Receiver::settle_until(Worker& worker, Steady::time_point deadline) {
    for (;;) {
        settle(worker.take_settled());
        const auto now = Steady::now();
        if (unsettled_ == 0 || now >= deadline) return;
        wait(worker, std::min(milliseconds(50), std::chrono::ceil<milliseconds>(deadline - now)));
    }
}

bool Receiver::on_assigned(PartitionOffsets& positions) {
    called_back_ = true;
    if (paused_) consumer_->pause(paused_ = false);
    if (!find_starts(positions)) return false;
    joined_ = true;
    group_problem_.clear();
    for (const PartitionOffset& position : positions) topic_problems_.erase(position.topic);
    std::erase_if(topic_problems_, [](const auto& entry) { return entry.second.there_now; });
    next_commit_ = {};
    log::debug(fmt::format("kafka: partitions assigned bridge={} count={}", bridge_name_, positions.size()));
    return true;
}

/// Also when stop() has been called, or the cluster does not answer: then false.
bool Receiver::find_starts(PartitionOffsets& positions) {
    const auto deadline = Steady::now() + settings_.connect_timeout;
    const auto repeat = [&](auto&& ask) {
        auto error = RD_KAFKA_RESP_ERR__TIMED_OUT;
        while (error != RD_KAFKA_RESP_ERR_NO_ERROR && !worker_->stopping() && Steady::now() < deadline)
            if ((error = ask()) != RD_KAFKA_RESP_ERR_NO_ERROR) worker_->pause(milliseconds(50));
        return error;
    };
    if (positions.empty()) return true;
    const PartitionOffsets asked = positions;
    auto error = repeat([&] { return consumer_->committed(positions = asked, probe_timeout); });
    std::map<std::string, bool> known_topics;
    for (const PartitionOffset& position : positions) known_topics[position.topic] |= position.offset >= 0;
    for (PartitionOffset& position : positions) {
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) break;
        const std::int64_t committed = position.offset >= 0 ? position.offset : RD_KAFKA_OFFSET_INVALID;
        error = repeat([&] { return find_start(position, known_topics); });
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) break;
        const Key key{position.topic, position.partition};
        partitions_.insert_or_assign(
            key, Partition{Window(position.offset, committed), routes_.row_of(position.topic)});
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    down_reason_ = fmt::format("the place in the topics cannot be found: {}", rd_kafka_err2str(error));
    return false;
}

rd_kafka_resp_err_t Receiver::find_start(PartitionOffset& position,
                                         const std::map<std::string, bool>& known_topics) {
    const auto settled = settled_positions_.find({position.topic, position.partition});
    if (settled != settled_positions_.end()) {
        position.offset = std::max(position.offset, settled->second);
        settled_positions_.erase(settled);
    }
    if (position.offset >= 0) return RD_KAFKA_RESP_ERR_NO_ERROR;
    // A partition that was added later has nothing in it from before the group's time.
    const std::size_t row = routes_.row_of(position.topic);
    const bool is_new = known_topics.at(position.topic) || row == routes_.size();
    return consumer_->find_end(position, is_new ? Start::earliest : routes_.start_of(row), probe_timeout);
}

void Receiver::on_revoked(const PartitionOffsets& positions, bool lost) {
    called_back_ = true;
    joined_ = false;
    join_deadline_ = Steady::now() + settings_.connect_timeout;
    if (!lost && !suspect_since_) {
        if (!worker_->stopping()) settle_until(*worker_, Steady::now() + settle_wait);
        commit_until(Steady::now() + last_commit_wait);
    }
    for (const PartitionOffset& position : positions) forget({position.topic, position.partition});
}

/// What is unsettled of it is void.
void Receiver::forget(const Key& key) {
    const auto found = partitions_.find(key);
    if (found == partitions_.end()) return;
    const Window& window = found->second.window;
    if (!window.is_committed()) settled_positions_[key] = window.position();
    for (auto it = open_.begin(); it != open_.end();) {
        if (it->second.key != key) {
            ++it;
            continue;
        }
        if (it->second.handed_on) {
            --unsettled_;
            unsettled_bytes_ -= it->second.bytes;
        }
        it = open_.erase(it);
    }
    const auto is_void = [this](const Incoming& incoming) { return !open_.contains(incoming.token); };
    held_back_.erase(std::remove_if(held_back_.begin(), held_back_.end(), is_void), held_back_.end());
    incoming_.erase(std::remove_if(incoming_.begin(), incoming_.end(), is_void), incoming_.end());
    partitions_.erase(found);
}

}  // namespace sluice::bridge::kafka
