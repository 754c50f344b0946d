#include "bridge/amqp/consume_engine.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.hpp"

namespace sluice::bridge::amqp {
namespace {

using std::chrono::milliseconds;

/// At the end of life, for what the bridge is just making durable.
constexpr milliseconds settle_grace_max{250};
/// A connection that stood this long was a good one: the next attempt comes soon.
constexpr std::chrono::seconds good_life{10};

}  // namespace

ConsumeEngine::ConsumeEngine(const ConnectorSpec& spec, AmqpSettings settings,
                             std::vector<ServerAddress> servers, std::vector<DownQueue> queues)
    : alone_(spec.routes.empty()),
      settings_(std::move(settings)),
      servers_(std::move(servers)),
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
    incoming_.clear();
    for (Consumer& consumer : consumers_) consumer.reset();
    if (alone_) worker.down(down_reason_);
    worker.source(down_reason_);
}

void ConsumeEngine::serve(Worker& worker) {
    if (alone_) worker.up();
    worker.take_settled();  // of an earlier connection
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
    if (connection_->has_buffered()) longest = milliseconds(0);
    std::array<pollfd, 2> waiting{{{connection_->fd(), POLLIN, 0}, {worker.wake_fd(), POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), static_cast<int>(longest.count()));
    worker.clear_wake();
}

/// Short enough for heartbeats: they are only looked at when we look.
milliseconds ConsumeEngine::wait_time() const {
    const auto longest = std::clamp(settings_.heartbeat / 4, milliseconds(100), milliseconds(2500));
    auto at = Steady::time_point::max();
    for (const Consumer& consumer : consumers_) at = std::min(at, consumer.wake_at());
    const auto now = Steady::now();
    if (at == Steady::time_point::max()) return longest;
    return at <= now ? milliseconds(0) : std::min(longest, std::chrono::ceil<milliseconds>(at - now));
}

void ConsumeEngine::settle(Worker& worker) {
    for (const Settled& settled : worker.take_settled())
        consumers_[settled.token % consumers_.size()].settle(settled);
    for (Consumer& consumer : consumers_) consumer.answer(*connection_);
}

void ConsumeEngine::read() {
    connection_->read_frames([this](const amqp_frame_t& frame) {
        if (frame.channel == 0 || frame.channel > consumers_.size()) return;
        consumers_[frame.channel - 1].take_frame(frame, *connection_, incoming_);
    });
}

std::size_t ConsumeEngine::unsettled() const {
    std::size_t count = 0;
    for (const Consumer& consumer : consumers_) count += consumer.unsettled();
    return count;
}

}  // namespace sluice::bridge::amqp
