#pragma once
/// The Store port: commit a batch, be told in order that it is durable, read a queue back a window at a time,
/// replay at start.
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/ledger.hpp"
#include "store/settings.hpp"

namespace sluice::store {

using ShardIndex = std::uint32_t;
/// A shard numbers its turns 1, 2, 3, ... from the start of the process.
using TurnNumber = std::uint64_t;

/// The far end of the store on each shard. Called on the store's thread, in the order of the posts of that
/// shard; implementations only pass it on.
class StoreEvents {
  public:
    virtual ~StoreEvents() = default;
    /// All batches of this shard up to and including `turn` are durable (in mode "commit"), or accepted
    /// (other modes).
    virtual void on_committed(ShardIndex shard, TurnNumber turn) = 0;
    /// Answer to post_load_queue. `exhausted`: nothing more on disk behind the last entry at that moment.
    virtual void on_queue_loaded(ShardIndex shard, core::SessionKey session,
                                 std::vector<core::QueueEntry> entries, bool exhausted) = 0;
    /// Answer to post_find_oldest, likewise.
    virtual void on_oldest_found(ShardIndex shard, core::SessionKey session,
                                 std::vector<core::StoredRow> rows, bool exhausted) = 0;
    /// The store cannot write (disk full, I/O error), and commits wait until it can; or a limit is near, and
    /// publishers should (Store::holds_back). It has been logged. `problem` is empty again when all is well.
    virtual void on_store_trouble(const std::string& problem) = 0;
};

/// A session as the disk knows it.
struct RecoveredSession {
    core::SessionRecord record;
    std::vector<core::SaveSubscription> subscriptions;
    core::SaveProgress progress;
    std::vector<core::NoteArrival> arrivals{};  ///< of its messages, by packet id
    std::uint64_t queue_messages = 0;           ///< not settled, those in flight included
    std::uint64_t queue_bytes = 0;              ///< of message bodies
    std::uint64_t inflight_bytes = 0;           ///< of these, of those in flight
    bool queue_shared = false;                  ///< some of them came by shared subscriptions
};

struct Recovered {
    std::vector<RecoveredSession> sessions;
    std::vector<core::MessagePtr> retained;
    core::SessionKey session_key_max = 0;  ///< highest ever used; new ones are above
    core::RowId row_max = 0;
    /// Of this store, random, made with it: row numbers of another one say nothing about its. 0: a full disk
    /// did not take it.
    std::uint64_t id = 0;
    std::vector<std::string> damage;  ///< one line per thing set aside or lost; empty when all is well
};

/// What the disk is written for: the log, by each group commit; the file, when the log is brought into it;
/// and the log when the file gives back pages that are free.
enum class WriteCause : std::uint8_t { commit, checkpoint, shrink };
constexpr std::size_t write_cause_count = 3;
struct Written {
    std::uint64_t bytes = 0, fsyncs = 0;
};

struct StoreStats {
    std::uint64_t commits = 0, entries = 0, rows = 0, file_bytes = 0;
    std::array<Written, write_cause_count> written{};  ///< by WriteCause
    std::uint64_t file_bytes_max = 0, disk_free_min = 0;
    std::uint64_t disk_free = 0;        ///< as of the last commit
    std::uint64_t cancelled_rows = 0;   ///< appended and settled before their commit: never written
    std::uint64_t unreadable_rows = 0;  ///< found damaged when they were to be delivered, and left out
    std::uint64_t commit_us_last = 0, commit_us_max = 0;
    bool in_trouble = false;
};

class Store {
  public:
    virtual ~Store() = default;

    /// Opens and reads back what is there; call once, before start(). An error is one line for the operator
    /// that names the file.
    virtual Result<Recovered, std::string> open() = 0;
    /// Starts the store's thread; `events` must outlive stop().
    virtual void start(StoreEvents& events) = 0;
    /// Commits what was posted, then ends the thread and closes the file.
    virtual void stop() = 0;

    /// Any thread. Never blocks on the disk. The batch becomes durable as a whole, after all earlier batches
    /// of the same shard.
    virtual void post_batch(ShardIndex shard, TurnNumber turn, std::vector<core::LedgerEntry> batch) = 0;
    /// Any thread. Reads unsettled messages of a session with row > `after` in order; sees every batch posted
    /// before it. Stops at either maximum, but returns at least one message if there is one.
    virtual void post_load_queue(ShardIndex shard, core::SessionKey session, core::RowId after,
                                 std::size_t messages_max, std::size_t bytes_max) = 0;
    /// Any thread. Likewise, without reading the bodies: the first `rows_max` of them.
    virtual void post_find_oldest(ShardIndex shard, core::SessionKey session, core::RowId after,
                                  std::size_t rows_max) = 0;
    /// Any thread. Whether messages that are to be kept should wait with their publishers: a limit is near,
    /// or the disk refuses. What is posted all the same finds a little room, so that those who would drain
    /// queues come in.
    virtual bool holds_back() const { return false; }
    /// Any thread.
    virtual StoreStats stats() const = 0;
};

/// On disk, in `data_dir`/sluice.db; modes "commit" and "interval".
std::unique_ptr<Store> make_sqlite_store(StoreSettings settings);
/// Forgets everything when it is destroyed; the same port and threads, no disk.
std::unique_ptr<Store> make_memory_store();
/// The one that `settings.durability.mode` asks for.
std::unique_ptr<Store> make_store(StoreSettings settings);

}  // namespace sluice::store
