#include "bridge/amqp/consume_engine.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.hpp"
#include "bridge/down_bounds.hpp"

namespace sluice::bridge::amqp {
namespace {

using std::chrono::milliseconds;

/// At the end of life, for what the bridge is just making durable.
constexpr milliseconds settle_grace_max{250};
/// A connection that stood this long was a good one: the next attempt comes soon.
constexpr std::chrono::seconds good_life{10};

std::size_t bytes_of(const Incoming& incoming) {
    std::size_t bytes = incoming.payload.size();
    for (const auto& [name, value] : incoming.headers) bytes += name.size() + value.size();
    return bytes;
}

}  // namespace

ConsumeEngine::ConsumeEngine(const ConnectorSpec& spec, AmqpSettings settings,
                             std::vector<ServerAddress> servers, std::vector<DownQueue> queues)
    : alone_(spec.routes.empty()),
      settings_(std::move(settings)),
      servers_(std::move(servers)),
      handed_on_max_(spec.down_inflight_max),
      watchdog_(settings_.heartbeat * 2),
      backoff_(backoff_seed(spec.bridge_name) + 1) {
    const auto rows = static_cast<std::uint32_t>(queues.size());
    const std::string tag = fmt::format("sluice-{}-{}", spec.bridge_name, spec.origin);
    const std::uint64_t seed = backoff_seed(spec.bridge_name);
    consumers_.reserve(rows);
    for (std::uint32_t row = 0; row < rows; ++row)
        consumers_.emplace_back(std::move(queues[row]), row, rows, tag, seed + 2 + row);
}

void ConsumeEngine::run(Worker& worker) {
    while (!worker.stopping()) {
        if (connect(worker)) serve(worker);
        if (worker.stopping()) {
            if (connection_ && connection_->problem().empty()) drain(worker);
            break;
        }
        lose(worker);
        if (!worker.pause(backoff_.next())) break;
    }
    connection_.reset();
}

bool ConsumeEngine::connect(Worker& worker) {
    const ServerAddress& server = servers_[next_server_++ % servers_.size()];
    const auto channels = static_cast<amqp_channel_t>(consumers_.size());
    auto opened = Connection::open(settings_, server, worker, watchdog_, channels);
    if (!opened) {
        down_reason_ = opened.error();
        return false;
    }
    connection_ = std::move(opened).value();
    connected_at_ = Steady::now();
    return true;
}

void ConsumeEngine::lose(Worker& worker) {
    if (connection_) {
        down_reason_ = connection_->problem();
        if (Steady::now() - connected_at_ > good_life) backoff_.reset();
    }
    connection_.reset();
    for (const Incoming& incoming : incoming_) forget(incoming.token);
    incoming_.clear();
    for (Consumer& consumer : consumers_) consumer.reset();
    if (alone_) worker.down(down_reason_);
    worker.source(down_reason_);
}

void ConsumeEngine::serve(Worker& worker) {
    if (alone_) worker.up();
    settle(worker);  // of an earlier connection: it only makes room
    while (!worker.stopping() && connection_->problem().empty()) {
        work(worker);
        tell_source(worker);
        wait(worker, wait_time());
        settle(worker);
        read();
        worker.incoming(std::exchange(incoming_, {}));
    }
}

/// At the end of life: waits a little for what is unsettled. What the server still sends comes again.
void ConsumeEngine::drain(Worker& worker) {
    const auto until = std::min(worker.stop_deadline(), Steady::now() + settle_grace_max);
    settle(worker);
    while (unsettled() > 0 && connection_->problem().empty() && Steady::now() < until) {
        pollfd waiting{worker.wake_fd(), POLLIN, 0};
        const auto left = std::chrono::ceil<milliseconds>(until - Steady::now()).count();
        ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
        worker.clear_wake();
        settle(worker);
    }
    if (connection_->problem().empty()) connection_->close();
}

void ConsumeEngine::work(const Worker& worker) {
    if (is_full()) return;  // to wait for an answer is to read all that comes before it
    for (Consumer& consumer : consumers_) {
        if (worker.stopping() || !connection_->problem().empty()) return;
        consumer.work(*connection_);
    }
}

void ConsumeEngine::tell_source(Worker& worker) {
    bool news = false;
    for (Consumer& consumer : consumers_) news |= consumer.take_news();
    if (!news || worker.stopping() || !connection_->problem().empty()) return;
    const auto troubled = std::find_if(consumers_.begin(), consumers_.end(),
                                       [](const Consumer& consumer) { return !consumer.problem().empty(); });
    worker.source(troubled != consumers_.end() ? troubled->problem() : std::string());
}

void ConsumeEngine::wait(Worker& worker, milliseconds longest) {
    const bool full = is_full();
    if (full) longest = longest_wait();
    if (!full && connection_->has_buffered()) longest = milliseconds(0);
    // poll() passes over what is negative: a lost connection would wake us again and again.
    std::array<pollfd, 2> waiting{
        {{full ? -1 : connection_->fd(), POLLIN, 0}, {worker.wake_fd(), POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), static_cast<int>(longest.count()));
    worker.clear_wake();
}

/// Short enough for heartbeats: they are only looked at when we look.
milliseconds ConsumeEngine::longest_wait() const {
    return std::clamp(settings_.heartbeat / 4, milliseconds(100), milliseconds(2500));
}

milliseconds ConsumeEngine::wait_time() const {
    const auto longest = longest_wait();
    auto at = Steady::time_point::max();
    for (const Consumer& consumer : consumers_) at = std::min(at, consumer.wake_at());
    const auto now = Steady::now();
    if (at == Steady::time_point::max()) return longest;
    return at <= now ? milliseconds(0) : std::min(longest, std::chrono::ceil<milliseconds>(at - now));
}

void ConsumeEngine::settle(Worker& worker) {
    for (const Settled& settled : worker.take_settled()) {
        forget(settled.token);
        consumers_[settled.token % consumers_.size()].settle(settled);
    }
    for (Consumer& consumer : consumers_) consumer.answer(*connection_);
}

void ConsumeEngine::read() {
    if (is_full()) return keep_alive();
    connection_->read_frames([this](const amqp_frame_t& frame) {
        if (frame.channel == 0 || frame.channel > consumers_.size()) return true;
        const std::size_t before = incoming_.size();
        consumers_[frame.channel - 1].take_frame(frame, *connection_, incoming_);
        if (incoming_.size() > before) note_handed_on(incoming_.back());
        return !is_full();
    });
}

/// RabbitMQ gives a connection up that takes nothing for half a minute. What was unsettled comes again then,
/// but not before the bridge has settled what it has of it.
void ConsumeEngine::keep_alive() {
    const auto now = Steady::now();
    if (now < next_heartbeat_) return;
    connection_->send_heartbeat();
    next_heartbeat_ = now + longest_wait();
}

void ConsumeEngine::note_handed_on(const Incoming& incoming) {
    const auto [at, is_new] = handed_on_.emplace(incoming.token, bytes_of(incoming));
    if (is_new) handed_on_bytes_ += at->second;
    // A bridge that is paused has no more than that, and never settles what it forgets.
    if (handed_on_.size() > handed_on_max_) forget(handed_on_.begin()->first);
}

void ConsumeEngine::forget(std::uint64_t token) {
    const auto found = handed_on_.find(token);
    if (found == handed_on_.end()) return;
    handed_on_bytes_ -= found->second;
    handed_on_.erase(found);
}

bool ConsumeEngine::is_full() const {
    return handed_on_bytes_ >= down_bytes_max;
}

std::size_t ConsumeEngine::unsettled() const {
    std::size_t count = 0;
    for (const Consumer& consumer : consumers_) count += consumer.unsettled();
    return count;
}

}  // namespace sluice::bridge::amqp
