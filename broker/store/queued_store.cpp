#include "store/queued_store.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>

#include "base/core_time.hpp"
#include "base/log.hpp"

namespace sluice::store {
namespace {

/// Fewer waiting messages than this never shorten the window: a group should be worth its fsync.
constexpr std::size_t messages_enough_min = 16;
/// Entries without a body are small, but a queue that is drained waits for the records of what it sends: a
/// commit for so many of them is worth its sync.
constexpr std::size_t group_entries_max = 1024;
/// Attempts to write the last group before stop() gives it up.
constexpr int last_attempts = 5;
constexpr std::chrono::milliseconds last_pause{200};

struct Weight {
    std::size_t messages = 0, bytes = 0;
};

Weight weigh(const std::vector<core::LedgerEntry>& batch) {
    Weight w;
    for (const auto& entry : batch) {
        const core::MessagePtr* message = nullptr;
        if (const auto* append = std::get_if<core::AppendMessage>(&entry)) message = &append->message;
        if (const auto* retained = std::get_if<core::SetRetained>(&entry)) message = &retained->message;
        if (!message) continue;
        ++w.messages;
        w.bytes += (*message)->body().size();
    }
    return w;
}

}  // namespace

QueuedStore::QueuedStore(StoreSettings settings, std::unique_ptr<Backend> backend)
    : settings_(std::move(settings)),
      acks_on_commit_(settings_.durability.mode != DurabilityMode::interval),
      messages_enough_(settings_.group_messages_max),
      backend_(std::move(backend)) {}

QueuedStore::~QueuedStore() {
    stop();
}

Result<Recovered, std::string> QueuedStore::open() {
    auto recovered = backend_->open(ledger_);
    if (recovered) publish_stats();
    return recovered;
}

void QueuedStore::start(StoreEvents& events) {
    CHECK(!thread_.joinable());
    stopping_ = false;
    events_ = &events;
    thread_ = std::thread([this] {
        ::pthread_setname_np(::pthread_self(), "store");
        core_time::run_promptly();
        run();
    });
}

void QueuedStore::stop() {
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }
    backend_->close();
}

void QueuedStore::post_batch(ShardIndex shard, TurnNumber turn, std::vector<core::LedgerEntry> batch) {
    const Weight weight = weigh(batch);
    bool notify = false;
    {
        const std::lock_guard lock(mutex_);
        if (inbox_.empty()) inbox_since_ = Clock::now();
        messages_waiting_ += weight.messages;
        bytes_waiting_ += weight.bytes;
        entries_waiting_ += batch.size();
        inbox_.emplace_back(Batch{shard, turn, std::move(batch)});
        if (!urgent_ && (full() || !timer_runs_ || !acks_on_commit_)) notify = urgent_ = true;
    }
    if (notify) wake_.notify_one();
}

void QueuedStore::post_load_queue(ShardIndex shard, core::SessionKey session, core::RowId after,
                                  std::size_t messages_max, std::size_t bytes_max) {
    post_load({shard, session, after, std::max<std::size_t>(messages_max, 1), bytes_max});
}

void QueuedStore::post_load(const Load& load) {
    {
        const std::lock_guard lock(mutex_);
        if (inbox_.empty()) inbox_since_ = Clock::now();
        inbox_.emplace_back(load);
        urgent_ = true;
    }
    wake_.notify_one();
}

void QueuedStore::run() {
    bool stop = false;
    tell_trouble(backend_->pressure());
    while (!stop) {
        take_inbox(Take::when_called);
        look_at_pressure();
        {
            const std::lock_guard lock(mutex_);
            stop = stopping_;
        }
        finish_round();
        if (!stop && commit_due()) commit();
    }
    commit_last();
}

void QueuedStore::finish_round() {
    answer_loads();
    if (!acks_on_commit_ && !retry_at_) tell_committed(std::exchange(group_.turns, {}));
}

bool QueuedStore::run_ready() {
    take_inbox(Take::as_it_is);
    const bool due = commit_due();
    const bool loads = !loads_.empty();
    finish_round();
    if (due) commit();
    return due || loads;
}

/// When the thread must wake without being called.
std::optional<QueuedStore::Clock::time_point> QueuedStore::wake_at() const {
    if (retry_at_) return retry_at_;
    if (group_since_) return *group_since_ + settings_.durability.window;
    return trouble_.empty() ? std::nullopt : std::optional(next_look_);
}

/// Without a commit nobody would notice that there is room again.
void QueuedStore::look_at_pressure() {
    if (trouble_.empty() || retry_at_ || group_since_ || Clock::now() < next_look_) return;
    tell_trouble(backend_->pressure());
    next_look_ = Clock::now() + settings_.retry_pause;
}

bool QueuedStore::full() const {
    return messages_waiting_ >= messages_enough_ || bytes_waiting_ >= settings_.group_bytes_max ||
           entries_waiting_ >= group_entries_max;
}

/// Merges what was posted, in the order of the posts. A load is answered in its place: it sees earlier posts,
/// and a settle behind it does not hide what it asks for.
void QueuedStore::take_inbox(Take how) {
    std::vector<std::variant<Batch, Load>> taken;
    Clock::time_point since;
    {
        std::unique_lock lock(mutex_);
        if (how == Take::when_called) {
            const auto deadline = wake_at();
            timer_runs_ = retry_at_ || group_since_;
            const auto called = [this] { return urgent_ || stopping_; };
            if (deadline) {
                wake_.wait_until(lock, *deadline, called);
            } else {
                wake_.wait(lock, called);
            }
            full_ = full();
        } else if (how == Take::as_it_is) {
            full_ = full();
        } else {
            // In one step with emptying the inbox: from here on a post counts for the next group and calls.
            messages_waiting_ = bytes_waiting_ = entries_waiting_ = 0;
            timer_runs_ = full_ = false;
        }
        urgent_ = false;
        taken.swap(inbox_);
        since = inbox_since_;
    }
    for (auto& item : taken) {
        if (auto* batch = std::get_if<Batch>(&item)) {
            if (!group_since_) group_since_ = since;
            counts_.entries += batch->entries.size();
            group_.merge(batch->shard, batch->turn, std::move(batch->entries), ledger_);
        } else {
            loads_.push_back(std::get<Load>(item));
            answer_loads();
        }
    }
}

bool QueuedStore::commit_due() const {
    const auto now = Clock::now();
    if (retry_at_) return now >= *retry_at_;
    return group_since_ && (full_ || now >= *group_since_ + settings_.durability.window);
}

void QueuedStore::commit() {
    take_inbox(Take::for_commit);
    const auto began = Clock::now();
    IoReport report;
    const bool writes = !group_.empty();
    if (writes) report = backend_->write(group_, ledger_);
    if (report.state == IoState::damaged) {
        report = backend_->repair();
        if (report.state == IoState::done) report = backend_->write(group_, ledger_);
    }
    if (report.state != IoState::done) {
        postpone(report);
        return;
    }
    retry_at_.reset();
    if (writes) note_commit(Clock::now() - began);
    learn_group_size();
    counts_.cancelled_rows += group_.rows_cancelled;
    const auto turns = std::exchange(group_.turns, {});
    group_.clear(std::min(group_.rows_doomed.size(), Backend::doomed_rows_max));
    group_since_.reset();
    if (!group_.rows_doomed.empty()) group_since_ = Clock::now();
    publish_stats();
    tell_trouble(backend_->pressure());
    tell_committed(turns);
}

void QueuedStore::note_commit(Clock::duration took) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    counts_.commit_us_last = static_cast<std::uint64_t>(us);
    counts_.commit_us_max = std::max(counts_.commit_us_max, counts_.commit_us_last);
    ++counts_.commits;
}

void QueuedStore::learn_group_size() {
    const std::lock_guard lock(mutex_);
    messages_enough_ =
        std::clamp<std::size_t>(group_.messages, std::min(messages_enough_min, settings_.group_messages_max),
                                settings_.group_messages_max);
}

/// The batches stay merged in memory; nobody is acknowledged meanwhile, which is what bounds them.
void QueuedStore::postpone(const IoReport& report) {
    retry_at_ = Clock::now() + settings_.retry_pause;
    tell_trouble(report.problem);
    publish_stats();
}

/// At stop: a few attempts, then say what is lost rather than hang.
void QueuedStore::commit_last() {
    take_inbox(Take::for_commit);
    for (int attempt = 0; group_since_ || retry_at_; ++attempt) {
        if (attempt == last_attempts) {
            log::error(
                fmt::format("store: stopped without writing the last batches messages={} entries={}: {}",
                            group_.appends.size() + group_.retained.size(), group_.entries, trouble_));
            break;
        }
        if (attempt > 0) std::this_thread::sleep_for(last_pause);
        if (group_.turns.empty() && !group_.rows_doomed.empty() && group_.nothing_but_doomed())
            break;  // the next start removes them
        commit();
    }
    for (const Load& load : std::exchange(loads_, {})) tell_loaded(load, {});
}

void QueuedStore::tell_committed(const std::map<ShardIndex, TurnNumber>& turns) {
    for (const auto& [shard, turn] : turns) events_->on_committed(shard, turn);
}

void QueuedStore::tell_trouble(const std::string& problem) {
    if (problem == trouble_) return;
    if (problem.empty()) {
        log::info("store: writes again");
    } else {
        log::error("store: " + problem);
    }
    trouble_ = problem;
    next_look_ = Clock::now() + settings_.retry_pause;
    holds_back_ = counts_.in_trouble = !problem.empty();
    publish_stats();
    events_->on_store_trouble(problem);
}

void QueuedStore::publish_stats() {
    StoreStats stats = counts_;
    stats.rows = ledger_.rows();
    backend_->add_stats(stats);
    const std::lock_guard lock(mutex_);
    stats_ = stats;
}

}  // namespace sluice::store
