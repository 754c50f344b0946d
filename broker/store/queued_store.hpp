#pragma once
/// QueuedStore: the store's thread, the queue of batches and the group commit, over a Backend.
///
/// Shards append to an inbox under a short lock. The store's thread wakes for the first batch, merges, and
/// waits at most `window` for others; then it writes the group in one transaction and tells each shard its
/// highest turn. Under a trickle a group takes the whole window, which spares the flash. Under load it leaves
/// earlier: at once when it is full, and when as many messages wait as the last group had (then every
/// publisher who answers to acknowledgements has most likely sent his next one).
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "store/backend.hpp"
#include "store/settings.hpp"
#include "store/settle_ledger.hpp"
#include "store/store.hpp"
#include "store/write_group.hpp"

namespace sluice::store {

class QueuedStore final : public Store {
  public:
    QueuedStore(StoreSettings settings, std::unique_ptr<Backend> backend);
    ~QueuedStore() override;

    Result<Recovered, std::string> open() override;
    void start(StoreEvents& events) override;
    void stop() override;
    /// Instead of start(): for tests that decide themselves what happens when.
    void start_without_thread(StoreEvents& events) { events_ = &events; }
    /// One round of the thread's work with what is there now, on the caller's thread: what was posted is
    /// merged, loads are answered, and a group that is full or has waited long enough is committed. False:
    /// nothing was committed or read.
    bool run_ready();
    void post_batch(ShardIndex shard, TurnNumber turn, std::vector<core::LedgerEntry> batch) override;
    void post_load_queue(ShardIndex shard, core::SessionKey session, core::RowId after,
                         std::size_t messages_max, std::size_t bytes_max) override;
    void post_find_oldest(ShardIndex shard, core::SessionKey session, core::RowId after,
                          std::size_t rows_max) override {
        post_load({shard, session, after, std::max<std::size_t>(rows_max, 1), 0, true});
    }
    bool holds_back() const override { return holds_back_.load(std::memory_order_relaxed); }
    StoreStats stats() const override {
        const std::lock_guard lock(mutex_);
        return stats_;
    }

  private:
    using Clock = std::chrono::steady_clock;
    struct Batch {
        ShardIndex shard;
        TurnNumber turn;
        std::vector<core::LedgerEntry> entries;
    };
    struct Load {
        ShardIndex shard;
        core::SessionKey session;
        core::RowId after;
        std::size_t messages_max, bytes_max;
        bool sizes_only = false;  ///< what post_find_oldest asks for
    };
    enum class Take : std::uint8_t { when_called, as_it_is, for_commit };
    struct Answer {
        std::vector<core::QueueEntry> entries;
        std::vector<core::StoredRow> sizes;
        bool exhausted = false;
        std::uint64_t left_out = 0;
        std::string why;  ///< of the first one left out
    };

    void run();
    void finish_round();
    void post_load(const Load& load);
    void take_inbox(Take how);
    bool full() const;
    bool commit_due() const;
    std::optional<Clock::time_point> wake_at() const;
    void commit();
    void note_commit(Clock::duration took);
    void learn_group_size();
    void commit_last();
    void tell_committed(const std::map<ShardIndex, TurnNumber>& turns);
    void tell_trouble(const std::string& problem);
    void postpone(const IoReport& report);
    void look_at_pressure();
    void answer_loads();
    IoReport load(const Load& load, Answer& answer);
    IoReport find_sizes(const Load& load, Answer& answer);
    void tell_loaded(const Load& load, Answer&& answer);
    IoReport read_entry(core::RowId row, core::SessionKey session, core::QueueEntry& entry);
    IoReport read_size(core::RowId row, std::size_t& bytes);
    template <class Read>
    IoReport read_repairing(Read&& read);
    void leave_out(core::RowId row, core::SessionKey session, Answer& answer, std::string why);
    void publish_stats();

    const StoreSettings settings_;
    const bool acks_on_commit_;

    // Between the threads, under mutex_.
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<std::variant<Batch, Load>> inbox_;
    Clock::time_point inbox_since_{};
    std::size_t messages_waiting_ = 0, bytes_waiting_ = 0, entries_waiting_ = 0;  ///< since the last commit
    std::size_t messages_enough_;  ///< that many waiting: commit at once
    bool timer_runs_ = false;      ///< the thread will wake by itself for the group
    bool urgent_ = false;
    bool stopping_ = false;
    StoreStats stats_;
    std::atomic<bool> holds_back_{false};  ///< without the mutex

    // The store's thread alone (before start() and after stop(): the caller's).
    std::unique_ptr<Backend> backend_;
    SettleLedger ledger_;
    WriteGroup group_;
    std::vector<Load> loads_;  ///< not yet answered
    std::optional<Clock::time_point> group_since_;
    std::optional<Clock::time_point> retry_at_;  ///< set while in trouble
    std::string trouble_;
    Clock::time_point next_look_{};  ///< at the pressure, while there is trouble and nothing to commit
    bool full_ = false;              ///< as of the last look at the inbox
    bool loads_stuck_ = false;       ///< the disk refused to read
    StoreStats counts_;
    StoreEvents* events_ = nullptr;
    std::thread thread_;
};

}  // namespace sluice::store
