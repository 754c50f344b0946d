#include "bridge/worker.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/log.hpp"

namespace sluice::bridge {
namespace {

/// Unique in the process: an offer to a connector that a reload has replaced fits no other one.
std::atomic<std::uint64_t> next_epoch{1};

/// Beyond its grace a stop waits this long for a client library to let go of its thread.
constexpr std::chrono::milliseconds closing_max{5000};

}  // namespace

Worker::Worker() : wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    CHECK(wake_fd_ >= 0);
}

Worker::~Worker() {
    ::close(wake_fd_);
}

void Worker::clear_wake() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_fd_, &count, sizeof count);
}

void Worker::wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto put = ::write(wake_fd_, &one, sizeof one);
}

Steady::time_point Worker::stop_deadline() const {
    return Steady::time_point(Steady::duration(stop_deadline_.load(std::memory_order_acquire)));
}

bool Worker::pause(std::chrono::milliseconds duration) {
    const auto until = Steady::now() + duration;
    while (!stopping()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Steady::now()).count();
        if (left <= 0) return true;
        pollfd waiting{wake_fd_, POLLIN, 0};
        ::poll(&waiting, 1, static_cast<int>(left));
        clear_wake();
    }
    return false;
}

std::vector<Outgoing> Worker::take() {
    const std::lock_guard lock(inbox_mutex_);
    return std::exchange(inbox_, {});
}

void Worker::offer(std::uint64_t epoch, std::vector<Outgoing> batch) {
    if (batch.empty()) return;
    bool was_empty = false;
    {
        const std::lock_guard lock(inbox_mutex_);
        if (epoch == 0 || epoch != epoch_) return;
        was_empty = inbox_.empty();
        if (was_empty) {
            inbox_ = std::move(batch);
        } else {
            inbox_.insert(inbox_.end(), std::make_move_iterator(batch.begin()),
                          std::make_move_iterator(batch.end()));
        }
    }
    // Whoever wakes up wants the lock at once.
    if (was_empty) wake();
}

void Worker::settle(std::vector<Settled> settled) {
    if (settled.empty()) return;
    bool was_empty = false;
    {
        const std::lock_guard lock(inbox_mutex_);
        was_empty = settled_.empty();
        settled_.insert(settled_.end(), std::make_move_iterator(settled.begin()),
                        std::make_move_iterator(settled.end()));
    }
    if (was_empty) wake();
}

std::vector<Settled> Worker::take_settled() {
    const std::lock_guard lock(inbox_mutex_);
    return std::exchange(settled_, {});
}

void Worker::incoming(std::vector<Incoming> messages) {
    if (messages.empty()) return;
    const std::lock_guard lock(events_mutex_);
    if (events_) events_->on_incoming(std::move(messages));
}

void Worker::source(const std::string& problem) {
    const std::lock_guard lock(events_mutex_);
    if (events_) events_->on_source(problem);
}

void Worker::up() {
    const std::uint64_t epoch = next_epoch.fetch_add(1);
    {
        const std::lock_guard lock(inbox_mutex_);
        epoch_ = epoch;
    }
    const std::lock_guard lock(events_mutex_);
    stall_.clear();
    if (events_) events_->on_up(epoch);
}

void Worker::down(const std::string& reason) {
    {
        const std::lock_guard lock(inbox_mutex_);
        epoch_ = 0;
        inbox_.clear();
    }
    const std::lock_guard lock(events_mutex_);
    stall_.clear();
    if (events_) events_->on_down(reason);
}

void Worker::confirm(std::vector<Confirm>& confirms) {
    if (confirms.empty()) return;
    {
        const std::lock_guard lock(events_mutex_);
        if (events_) events_->on_confirm(confirms);
    }
    confirms.clear();
}

void Worker::stalled(const std::string& reason) {
    const std::lock_guard lock(events_mutex_);
    if (stall_ == reason) return;
    stall_ = reason;
    if (events_) events_->on_stalled(reason);
}

void Worker::retried(std::uint64_t count) {
    if (count == 0) return;
    const std::lock_guard lock(events_mutex_);
    if (events_) events_->on_retried(count);
}

void Worker::set_events(ConnectorEvents* events) {
    const std::lock_guard lock(events_mutex_);
    events_ = events;
}

void Worker::request_stop(std::chrono::milliseconds grace) {
    stop_deadline_.store((Steady::now() + grace).time_since_epoch().count(), std::memory_order_release);
    stopping_.store(true, std::memory_order_release);
    wake();
}

namespace {

class ThreadedConnector final : public Connector {
  public:
    ThreadedConnector(std::string name, std::unique_ptr<Engine> engine)
        : state_(std::make_shared<State>(std::move(name), std::move(engine))) {}
    ~ThreadedConnector() override { stop(std::chrono::milliseconds(0)); }

    void start(ConnectorEvents& events, std::vector<LaneName> lanes) override {
        CHECK(!thread_.joinable());
        state_->engine->name_lanes(std::move(lanes));
        state_->worker.set_events(&events);
        // The thread shares the state: one that stop() had to leave behind still finds it.
        thread_ = std::thread([state = state_] {
            // The kernel keeps 15 characters.
            ::pthread_setname_np(::pthread_self(), state->name.substr(0, 15).c_str());
            state->engine->run(state->worker);
            const std::lock_guard lock(state->mutex);
            state->finished = true;
            state->changed.notify_all();
        });
    }

    void offer(std::uint64_t epoch, std::vector<Outgoing> batch) override {
        state_->worker.offer(epoch, std::move(batch));
    }

    bool wants_durable() const override { return state_->engine->wants_durable(); }

    void settle(std::vector<Settled> settled) override { state_->worker.settle(std::move(settled)); }

    void stop(std::chrono::milliseconds grace) override {
        if (!thread_.joinable()) return;
        state_->worker.request_stop(grace);
        if (!state_->wait_finished(grace)) {
            state_->engine->interrupt();
            state_->wait_finished(closing_max);
        }
        state_->worker.set_events(nullptr);
        if (state_->is_finished()) {
            thread_.join();
            return;
        }
        log::error(fmt::format("bridge: {}: the client library does not return; its thread is left behind",
                               state_->name));
        thread_.detach();
    }

  private:
    struct State {
        State(std::string its_name, std::unique_ptr<Engine> its_engine)
            : name(std::move(its_name)), engine(std::move(its_engine)) {}
        bool wait_finished(std::chrono::milliseconds duration) {
            std::unique_lock lock(mutex);
            return changed.wait_for(lock, duration, [this] { return finished; });
        }
        bool is_finished() {
            const std::lock_guard lock(mutex);
            return finished;
        }

        std::string name;
        Worker worker;
        std::unique_ptr<Engine> engine;
        std::mutex mutex;
        std::condition_variable changed;
        bool finished = false;
    };

    std::shared_ptr<State> state_;
    std::thread thread_;
};

}  // namespace

std::unique_ptr<Connector> make_connector(std::string name, std::unique_ptr<Engine> engine) {
    return std::make_unique<ThreadedConnector>(std::move(name), std::move(engine));
}

}  // namespace sluice::bridge
