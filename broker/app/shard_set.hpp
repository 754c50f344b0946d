#pragma once
/// ShardSet: all shards, their threads, and the paths between them and the store.
#include <memory>
#include <thread>
#include <vector>

#include "shard/shard.hpp"
#include "store/store.hpp"

namespace sluice::app {

class ShardSet final : public shard::InletSet, public store::StoreEvents {
  public:
    /// `parts` outlive this.
    ShardSet(std::size_t count, const shard::SharedParts& parts);
    ~ShardSet() override;

    /// Gives every recovered session to the shard that is its home now. Before start().
    void restore(const store::Recovered& recovered);
    void start();
    /// Any thread.
    void reload(const std::shared_ptr<auth::Authenticator>& authenticator,
                const std::shared_ptr<const auth::Authorizer>& authorizer, const shard::Limits& limits);
    /// Ends all connections; returns when the threads have ended and all they had to remember is with the
    /// store.
    void stop();

    // shard::InletSet; any thread
    shard::Inlet& home_of(std::string_view client_id) override;
    std::size_t size() const override { return shards_.size(); }
    shard::Inlet& at(std::size_t index) override { return *shards_[index]; }

    // store::StoreEvents; the store's thread
    void on_committed(store::ShardIndex shard, store::TurnNumber turn) override;
    void on_queue_loaded(store::ShardIndex shard, core::SessionKey session,
                         std::vector<core::QueueEntry> entries, bool exhausted) override;
    void on_oldest_found(store::ShardIndex shard, core::SessionKey session, std::vector<core::StoredRow> rows,
                         bool exhausted) override;
    void on_store_trouble(const std::string& problem) override;

    const shard::Counters& counters(std::size_t index) const {
        return std::as_const(*shards_[index]).counters();
    }
    /// What the store last complained about; empty when all is well. Any thread.
    std::string store_trouble() const;
    /// Asks every shard for a sign of life and tells whether all have answered since the last call but one.
    /// One thread (main).
    bool probe_liveness();

  private:
    std::size_t home_index(std::string_view client_id) const;

    std::vector<std::unique_ptr<shard::Shard>> shards_;
    std::vector<std::thread> threads_;
    mutable std::mutex trouble_mutex_;
    std::string trouble_;
    std::uint64_t pings_asked_ = 0;
};

}  // namespace sluice::app
