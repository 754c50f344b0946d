#pragma once
/// What tests of the store share: an observer that waits for events, a folder that removes itself, short ways
/// to make ledger entries, and the plainest possible model of what a store promises.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace sluice::store::testing {

using namespace std::chrono_literals;
using core::RowId;
using core::SessionKey;
using Batch = std::vector<core::LedgerEntry>;

constexpr auto deadline = 30s;

class TempDir {
  public:
    TempDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-store-XXXXXX").string();
        const char* made = ::mkdtemp(pattern.data());
        EXPECT_NE(made, nullptr);
        path_ = made ? made : "";
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::string& path() const { return path_; }
    std::string file(const char* name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

struct Found {
    ShardIndex shard = 0;
    SessionKey session = 0;
    std::vector<core::StoredRow> rows;
    bool exhausted = false;
};

struct Loaded {
    ShardIndex shard = 0;
    SessionKey session = 0;
    std::vector<core::QueueEntry> entries;
    bool exhausted = false;
};

/// Keeps all events; every wait has a deadline.
class Observer final : public StoreEvents {
  public:
    void on_committed(ShardIndex shard, TurnNumber turn) override {
        note([&] { committed_[shard].push_back(turn); });
    }
    void on_queue_loaded(ShardIndex shard, SessionKey session, std::vector<core::QueueEntry> entries,
                         bool exhausted) override {
        note([&] { loaded_.push_back({shard, session, std::move(entries), exhausted}); });
    }
    void on_oldest_found(ShardIndex shard, SessionKey session, std::vector<core::StoredRow> rows,
                         bool exhausted) override {
        note([&] { found_.push_back({shard, session, std::move(rows), exhausted}); });
    }
    void on_store_trouble(const std::string& problem) override {
        note([&] { troubles_.push_back(problem); });
    }

    bool wait_committed(ShardIndex shard, TurnNumber turn) {
        return wait([&] { return !committed_[shard].empty() && committed_[shard].back() >= turn; });
    }
    bool wait_trouble() {
        return wait([&] { return !troubles_.empty() && !troubles_.back().empty(); });
    }
    bool wait_recovery() {
        return wait([&] { return !troubles_.empty() && troubles_.back().empty(); });
    }
    Loaded next_loaded() {
        Loaded out;
        if (!wait([&] { return !loaded_.empty(); })) return out;
        const std::lock_guard lock(mutex_);
        out = std::move(loaded_.front());
        loaded_.pop_front();
        return out;
    }
    Found next_found() {
        Found out;
        if (!wait([&] { return !found_.empty(); })) return out;
        const std::lock_guard lock(mutex_);
        out = std::move(found_.front());
        found_.pop_front();
        return out;
    }
    std::vector<TurnNumber> committed(ShardIndex shard) {
        const std::lock_guard lock(mutex_);
        return committed_[shard];
    }
    std::vector<std::string> troubles() {
        const std::lock_guard lock(mutex_);
        return troubles_;
    }

  private:
    template <class F>
    void note(F&& f) {
        const std::lock_guard lock(mutex_);
        f();
        changed_.notify_all();
    }
    template <class F>
    bool wait(F&& condition) {
        std::unique_lock lock(mutex_);
        const bool met = changed_.wait_for(lock, deadline, condition);
        EXPECT_TRUE(met) << "the deadline passed";
        return met;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<ShardIndex, std::vector<TurnNumber>> committed_;
    std::deque<Loaded> loaded_;
    std::deque<Found> found_;
    std::vector<std::string> troubles_;
};

constexpr RowId row_id(std::uint64_t counter, ShardIndex shard = 0) {
    return counter * 256 + shard;
}
constexpr SessionKey session_key(std::uint64_t counter, ShardIndex shard = 0) {
    return counter * 256 + shard;
}

inline core::MessagePtr message(std::string_view topic, std::string_view payload) {
    core::Message::Fields fields;
    fields.topic = topic;
    fields.payload = as_bytes(payload);
    fields.qos = wire::QoS::at_least_once;
    fields.client_id = "publisher";
    fields.received = WallTime(Millis(1700000000000));
    return core::Message::freeze(fields);
}
inline std::string payload_of(const core::MessagePtr& m) {
    return std::string(as_text(m->payload()));
}
inline core::QueueTarget target(SessionKey session, wire::QoS qos = wire::QoS::at_least_once) {
    return {.session = session, .qos = qos, .retain = false, .subscription_identifiers = {}};
}
inline core::AppendMessage append(RowId row, std::string_view payload,
                                  std::vector<core::QueueTarget> targets) {
    return {row, message("a/b", payload), std::move(targets)};
}
inline core::SaveSession save_session(SessionKey key, std::string client_id = {}) {
    core::SessionRecord record;
    record.key = key;
    record.client_id = client_id.empty() ? "client-" + std::to_string(key) : std::move(client_id);
    record.expiry_interval_s = 3600;
    return {std::move(record)};
}

/// std::vector's initializer list would copy; entries hold vectors.
template <class... Entries>
Batch batch(Entries&&... entries) {
    Batch out;
    (out.emplace_back(std::forward<Entries>(entries)), ...);
    return out;
}

/// What a store promises, in the plainest way.
class Model {
  public:
    struct Session {
        core::SessionRecord record;
        std::map<std::string, core::SubscriptionOptions> subscriptions;
        core::SaveProgress progress;
        std::map<wire::PacketId, std::map<RowId, core::NoteArrival>> arrivals;
        std::map<RowId, std::pair<core::MessagePtr, core::QueueTarget>> queue;
    };
    std::map<SessionKey, Session> sessions;
    std::map<std::string, core::MessagePtr> retained;

    void apply(const Batch& entries) {
        for (const auto& entry : entries) std::visit([this](const auto& e) { apply_one(e); }, entry);
    }

  private:
    void apply_one(const core::AppendMessage& e) {
        for (const auto& t : e.targets) sessions.at(t.session).queue.emplace(e.row, std::pair(e.message, t));
    }
    void apply_one(const core::SettleMessage& e) {
        const auto found = sessions.find(e.session);
        if (found != sessions.end()) found->second.queue.erase(e.row);
    }
    void apply_one(const core::SaveProgress& e) { sessions.at(e.session).progress = e; }
    void apply_one(const core::NoteArrival& e) {
        const auto found = sessions.find(e.publisher);
        if (found != sessions.end()) found->second.arrivals[e.packet_id][e.row] = e;
    }
    void apply_one(const core::ForgetArrivals& e) {
        const auto found = sessions.find(e.publisher);
        if (found != sessions.end()) found->second.arrivals.erase(e.packet_id);
    }
    void apply_one(const core::SaveSession& e) { sessions[e.record.key].record = e.record; }
    void apply_one(const core::RemoveSession& e) { sessions.erase(e.session); }
    void apply_one(const core::SaveSubscription& e) {
        sessions.at(e.session).subscriptions[e.filter] = e.options;
    }
    void apply_one(const core::RemoveSubscription& e) {
        sessions.at(e.session).subscriptions.erase(e.filter);
    }
    void apply_one(const core::SetRetained& e) {
        const std::string topic(e.message->topic());
        if (is_latest(topic, e.sequence)) retained[topic] = e.message;
    }
    void apply_one(const core::ClearRetained& e) {
        if (is_latest(e.topic, e.sequence)) retained.erase(e.topic);
    }
    void apply_one(const core::RetainedUpTo&) {}

    bool is_latest(const std::string& topic, core::RetainedSequence sequence) {
        auto& latest = retained_latest_[topic];
        if (sequence != 0 && sequence < latest) return false;
        latest = std::max(latest, sequence);
        return true;
    }

    std::map<std::string, core::RetainedSequence> retained_latest_;
};

using NoteKey = std::pair<wire::PacketId, RowId>;
inline auto receivers_of(const core::NoteArrival& note) {
    std::vector<std::string> groups;
    for (const core::Share& group : note.groups) groups.emplace_back(group.view());
    return std::tuple(note.content, note.sessions, groups);
}

inline void expect_same_arrivals(const Model::Session& want, const RecoveredSession& got) {
    std::map<NoteKey, decltype(receivers_of({}))> notes_want, notes_got;
    for (const auto& [id, notes] : want.arrivals)
        for (const auto& [row, note] : notes) notes_want[{id, row}] = receivers_of(note);
    for (const auto& note : got.arrivals) {
        EXPECT_EQ(note.publisher, got.record.key);
        EXPECT_TRUE(notes_got.emplace(NoteKey{note.packet_id, note.row}, receivers_of(note)).second);
    }
    EXPECT_EQ(notes_want, notes_got);
}

inline void expect_same_session(const Model::Session& want, const RecoveredSession& got) {
    EXPECT_EQ(want.record.client_id, got.record.client_id);
    EXPECT_EQ(want.record.user_name, got.record.user_name);
    EXPECT_EQ(want.record.expiry_interval_s, got.record.expiry_interval_s);
    EXPECT_EQ(want.record.disconnected_at, got.record.disconnected_at);
    ASSERT_EQ(want.record.will.has_value(), got.record.will.has_value());
    if (want.record.will) {
        EXPECT_EQ(want.record.will->delay_s, got.record.will->delay_s);
        EXPECT_EQ(payload_of(want.record.will->message), payload_of(got.record.will->message));
    }
    EXPECT_EQ(want.progress.outbound, got.progress.outbound);
    EXPECT_EQ(want.progress.inbound_released, got.progress.inbound_released);
    expect_same_arrivals(want, got);
    std::map<std::string, core::SubscriptionOptions> subscriptions;
    for (const auto& s : got.subscriptions) subscriptions[s.filter] = s.options;
    EXPECT_EQ(want.subscriptions, subscriptions);
    std::uint64_t bytes = 0;
    for (const auto& [row, entry] : want.queue) bytes += entry.first->body().size();
    EXPECT_EQ(want.queue.size(), got.queue_messages);
    EXPECT_EQ(bytes, got.queue_bytes);
    std::uint64_t inflight_bytes = 0;
    for (const core::InflightRecord& sent : want.progress.outbound)
        if (want.queue.contains(sent.row)) inflight_bytes += want.queue.at(sent.row).first->body().size();
    EXPECT_EQ(inflight_bytes, got.inflight_bytes);
}

/// Sessions, subscriptions, progress, counts and retained messages; queues are compared by loading them.
inline void expect_same(const Model& want, const Recovered& got) {
    ASSERT_EQ(want.sessions.size(), got.sessions.size());
    for (const auto& session : got.sessions) {
        SCOPED_TRACE("session " + std::to_string(session.record.key));
        ASSERT_TRUE(want.sessions.contains(session.record.key));
        expect_same_session(want.sessions.at(session.record.key), session);
        EXPECT_LE(session.record.key, got.session_key_max);
        if (!want.sessions.at(session.record.key).queue.empty()) {
            EXPECT_LE(want.sessions.at(session.record.key).queue.rbegin()->first, got.row_max);
        }
    }
    std::map<std::string, std::string> retained_want, retained_got;
    for (const auto& [topic, m] : want.retained) retained_want[topic] = payload_of(m);
    for (const auto& m : got.retained) retained_got[std::string(m->topic())] = payload_of(m);
    EXPECT_EQ(retained_want, retained_got);
}

/// Reads whole queues in windows of seven and compares them.
inline void expect_same_queues(const Model& want, Store& store, Observer& observer) {
    for (const auto& [key, session] : want.sessions) {
        SCOPED_TRACE("queue of session " + std::to_string(key));
        std::vector<std::pair<RowId, std::string>> got, expected;
        for (const auto& [row, entry] : session.queue) expected.emplace_back(row, payload_of(entry.first));
        RowId after = 0;
        for (bool exhausted = false; !exhausted;) {
            store.post_load_queue(0, key, after, 7, 1 << 20);
            const Loaded loaded = observer.next_loaded();
            ASSERT_EQ(loaded.session, key);
            for (const auto& entry : loaded.entries) {
                got.emplace_back(entry.row, payload_of(entry.message));
                ASSERT_TRUE(session.queue.contains(entry.row));
                const auto& t = session.queue.at(entry.row).second;
                EXPECT_EQ(t.qos, entry.qos);
                EXPECT_EQ(t.retain, entry.retain);
                EXPECT_EQ(t.subscription_identifiers, entry.subscription_identifiers);
                after = entry.row;
            }
            exhausted = loaded.exhausted;
            ASSERT_TRUE(exhausted || !loaded.entries.empty());
        }
        EXPECT_EQ(expected, got);
    }
}

}  // namespace sluice::store::testing
