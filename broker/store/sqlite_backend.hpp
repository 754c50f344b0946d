#pragma once
/// SqliteBackend: the store's file, `sluice.db` in the data directory. The only connection that writes and
/// checkpoints (two of them meet a bug of SQLite up to 3.51.2); tools open it read-only.
#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "base/core_time.hpp"
#include "store/backend.hpp"
#include "store/data_dir.hpp"
#include "store/row_codec.hpp"
#include "store/settings.hpp"
#include "store/sqlite_db.hpp"

namespace sluice::store {

struct Findings;

/// See StoreSettings::reserve_bytes.
constexpr const char* reserve_name = "sluice.reserve";

class SqliteBackend final : public Backend {
  public:
    explicit SqliteBackend(StoreSettings settings);
    ~SqliteBackend() override;

    Result<Recovered, std::string> open(SettleLedger& ledger) override;
    IoReport write(const WriteGroup& group, const SettleLedger& ledger) override;
    void begin_reads() override;
    void end_reads() override;
    IoReport read(core::RowId row, core::SessionKey session, core::QueueEntry& entry) override;
    IoReport read_size(core::RowId row, std::size_t& bytes) override;
    IoReport repair() override;
    std::string pressure() override;
    void close() override;
    void add_stats(StoreStats& stats) const override;

  private:
    enum Prepared : std::size_t {
        begin,
        begin_to_read,
        commit,
        rollback,
        session_put,
        session_delete,
        subscription_put,
        subscription_delete,
        subscriptions_delete,
        progress_put,
        progress_delete,
        message_put,
        message_delete,
        message_get,
        message_size,
        message_quarantine,
        mark_put,
        marks_delete,
        arrival_put,
        arrivals_forget,
        arrivals_delete,
        retained_find,
        retained_insert,
        retained_update,
        retained_delete,
        meta_put,
        prepared_count
    };
    // sqlite_backend.cpp
    Result<void, std::string> open_file(std::vector<std::string>& damage);
    Result<void, std::string> replace_damaged(const std::string& reason, std::vector<std::string>& damage);
    void make_room_to_open();
    void look_at_log(std::vector<std::string>& damage) const;
    int connect();
    int prepare_all();
    IoReport report(int rc, const std::string& words);
    IoReport report(int rc) { return report(rc, db_.error()); }
    std::string path_in_dir(const char* name) const { return settings_.data_dir + "/" + name; }

    // sqlite_recover.cpp
    int recover(SettleLedger& ledger, Recovered& out);
    void read_id();
    int put_right(const Findings& findings);

    // sqlite_write.cpp
    int write_all(const WriteGroup& group, const SettleLedger& ledger);
    int write_removals(const WriteGroup& group);
    int write_doomed(const WriteGroup& group);
    int write_sessions(const WriteGroup& group);
    int write_subscriptions(const WriteGroup& group);
    int write_progress(const WriteGroup& group);
    int write_marks(const WriteGroup& group, const SettleLedger& ledger);
    int write_messages(const WriteGroup& group, const SettleLedger& ledger);
    int write_arrivals(const WriteGroup& group);
    int write_retained(const WriteGroup& group);
    int find_retained(const std::string& topic, std::uint64_t& id);
    int write_limits(core::SessionKey key_limit, core::RowId row_limit);
    int attempt(const WriteGroup& group, const SettleLedger& ledger);
    int attempt_within_limit(const WriteGroup& group, const SettleLedger& ledger);
    void checkpoint();
    void give_back_pages();
    void note_written(WriteCause cause, std::uint64_t bytes, std::uint64_t fsyncs);
    void note_logged(WriteCause cause);

    // sqlite_room.cpp
    int set_page_limit(bool drains);
    bool reserve_missing() const { return settings_.reserve_bytes > 0 && !reserve_there_; }
    void keep_reserve();
    void give_up_reserve();
    std::string near_limit(std::uint64_t pages_used, std::uint64_t disk_free, bool was_near) const;

    Statement& at(Prepared which) {
        pieces_.step();
        return prepared_[which];
    }

    const StoreSettings settings_;
    const std::string path_;
    DirLock lock_;
    SqliteDb db_;
    std::array<Statement, prepared_count> prepared_;
    core_time::Pieces pieces_;  ///< a queue that is read, or a large group
    TargetsWriter targets_;

    // Ids are handed out from what the file says was the highest; it is written ahead in steps.
    core::SessionKey session_key_limit_ = 0;
    std::uint64_t id_ = 0;  ///< as Recovered has it
    core::RowId row_limit_ = 0;
    std::uint64_t page_limit_ = 0;
    bool reserve_there_ = false;
    std::uint64_t growth_limit_ = 0;  ///< while the reserve is missing, in pages
    bool short_of_room_ = false;      ///< others would be left too little
    bool pressed_ = false;            ///< what pressure() said last
    bool alone_ = false;              ///< the disk was too full for other programs to look in
    std::string problem_;             ///< SQLite's words for why the last attempt failed
    bool refused_by_system_ = false;  ///< it failed for what the system said, not for a limit of ours
    std::chrono::steady_clock::time_point reserve_next_{};  ///< when to try to make the reserve again
    int log_pages_ = 0;                                     ///< in the write-ahead log, set by SQLite's hook
    int log_pages_seen_ = 0;                                ///< of these, counted in written_
    std::array<Written, write_cause_count> written_{};
    std::uint64_t pages_ = 0;
};

}  // namespace sluice::store
