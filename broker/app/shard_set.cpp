#include "app/shard_set.hpp"

#include <charconv>
#include <latch>

#include <pthread.h>

#include <fmt/format.h>

#include "base/core_time.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"

namespace sluice::app {

ShardSet::ShardSet(std::size_t count, const shard::SharedParts& parts) {
    for (std::size_t i = 0; i < count; ++i) {
        shards_.push_back(std::make_unique<shard::Shard>(static_cast<store::ShardIndex>(i), parts));
    }
    std::vector<shard::Peer> peers;
    for (const auto& shard : shards_) peers.push_back(shard->as_peer());
    for (const auto& shard : shards_) shard->set_peers(peers);
}

ShardSet::~ShardSet() {
    stop();
}

std::size_t ShardSet::home_index(std::string_view client_id) const {
    if (client_id.starts_with(shard::bridge_session_prefix)) {
        // "$bridge/plant/0/1": the spool of a lane belongs to the shard in its name.
        std::size_t spool = 0;
        const std::size_t slash = client_id.rfind('/') + 1;
        std::from_chars(client_id.data() + slash, client_id.data() + client_id.size(), spool);
        return spool % shards_.size();
    }
    return stable_hash(client_id) % shards_.size();
}

shard::Inlet& ShardSet::home_of(std::string_view client_id) {
    return *shards_[home_index(client_id)];
}

void ShardSet::restore(const store::Recovered& recovered) {
    // What a lost batch had numbered may have gone up already, and consumers upstream tell messages by their
    // numbers. So the new life begins above anything that the last one can have used.
    constexpr core::RowId rows_unknown_max = 1ULL << 28;
    for (const auto& shard : shards_)
        shard->set_used(recovered.session_key_max, recovered.row_max + rows_unknown_max);
    for (const store::RecoveredSession& session : recovered.sessions) {
        shards_[home_index(session.record.client_id)]->restore(session);
    }
    for (const auto& shard : shards_) shard->tell_restored();
}

void ShardSet::start() {
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        threads_.emplace_back([this, i] {
            ::pthread_setname_np(::pthread_self(), fmt::format("shard-{}", i).c_str());
            core_time::run_promptly();
            shards_[i]->run();
        });
    }
}

void ShardSet::reload(const std::shared_ptr<auth::Authenticator>& authenticator,
                      const std::shared_ptr<const auth::Authorizer>& authorizer,
                      const shard::Limits& limits) {
    for (const auto& shard : shards_) shard->post_reload(authenticator, authorizer, limits);
}

void ShardSet::stop() {
    if (threads_.empty()) return;
    // A will of one shard's client may be for a session of another, so none ends before all have closed.
    const auto closed = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(shards_.size()));
    for (const auto& shard : shards_) shard->post_close(closed);
    closed->wait();
    for (const auto& shard : shards_) shard->post_stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void ShardSet::on_committed(store::ShardIndex shard, store::TurnNumber turn) {
    shards_[shard]->post_committed(turn);
}

void ShardSet::on_queue_loaded(store::ShardIndex shard, core::SessionKey session,
                               std::vector<core::QueueEntry> entries, bool exhausted) {
    shards_[shard]->post_queue_loaded(session, std::move(entries), exhausted);
}

void ShardSet::on_oldest_found(store::ShardIndex shard, core::SessionKey session,
                               std::vector<core::StoredRow> rows, bool exhausted) {
    shards_[shard]->post_oldest_found(session, std::move(rows), exhausted);
}

void ShardSet::on_store_trouble(const std::string& problem) {
    const std::lock_guard lock(trouble_mutex_);
    trouble_ = problem;
}

std::string ShardSet::store_trouble() const {
    const std::lock_guard lock(trouble_mutex_);
    return trouble_;
}

bool ShardSet::probe_liveness() {
    bool all = true;
    for (std::size_t i = 0; i < shards_.size(); ++i) all &= counters(i).pings.get() >= pings_asked_;
    if (all) {
        ++pings_asked_;
        for (const auto& shard : shards_) shard->post_ping();
    }
    return all;
}

}  // namespace sluice::app
