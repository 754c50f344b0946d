#pragma once
/// House: the broker's shards, its store over the Disk, and the lanes of a bridge, on one thread, and each
/// moves only when it is told to. Lives from one start of the process to its end, as wiring has it.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bridge/dead_letters.hpp"
#include "bridge/lane.hpp"
#include "shard/shard.hpp"
#include "store/queued_store.hpp"
#include "tests/sim/mutant.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/upstream.hpp"

namespace sluice::sim {

struct HousePlan {
    std::string data_dir;
    std::size_t shards = 1;
    shard::Limits limits;
    std::size_t window_messages = 1000;
    std::chrono::milliseconds window{0};
    std::size_t group_messages_max = 256;
    Mutation mutation = Mutation::none;
    bool has_bridge = false;
};

class House final : private store::StoreEvents {
  public:
    House(const HousePlan& plan, Upstream& upstream);
    ~House() override;

    /// Opens the store and restores all that it has. An error is the store's word.
    Result<void, std::string> start();
    /// What the store found damaged.
    const std::vector<std::string>& damage() const { return damage_; }

    std::size_t shards() const { return shards_.size(); }
    shard::Shard& home_of(std::string_view client_id);
    /// One turn; false: nothing was ready.
    bool turn(std::size_t shard) { return shards_[shard]->run_ready(); }
    bool store_round() { return store_->run_ready(); }
    /// It has been refused, and waits before it tries again.
    bool store_in_trouble() const { return store_->stats().in_trouble; }
    void tell_lane(shard::LinkNumber number, shard::LinkNote note);
    /// An operator gives what the upstream refused back to it.
    void retry_dead_letters();
    std::uint64_t dead_letters() const;
    std::size_t lanes() const { return lanes_.size(); }
    /// Everybody is disconnected and all is written down.
    void stop();
    std::uint64_t messages_dropped() const;
    /// What waits for the upstream, as the lanes tell it.
    std::uint64_t bridge_backlog() const;

  private:
    struct LaneRecord {
        std::size_t shard = 0;
        std::shared_ptr<bridge::LaneStats> stats = std::make_shared<bridge::LaneStats>();
    };

    // store::StoreEvents
    void on_committed(store::ShardIndex shard, store::TurnNumber turn) override;
    void on_queue_loaded(store::ShardIndex shard, core::SessionKey session,
                         std::vector<core::QueueEntry> entries, bool exhausted) override;
    void on_oldest_found(store::ShardIndex shard, core::SessionKey session, std::vector<core::StoredRow> rows,
                         bool exhausted) override;
    void on_store_trouble(const std::string&) override {}

    std::size_t home_index(std::string_view client_id) const;
    void restore(const store::Recovered& recovered);
    void add_lanes(const store::Recovered& recovered);
    void add_lane(std::size_t spool, bool subscribes);
    void add_dead_letters(std::size_t queue);
    void run_everything();

    const HousePlan plan_;
    Upstream& upstream_;
    std::unique_ptr<store::QueuedStore> store_;
    std::unique_ptr<Mutant> front_;  ///< what the shards take for the store
    std::unique_ptr<core::RetainedIndex> retained_;
    std::vector<std::unique_ptr<LaneRecord>> lanes_;
    std::vector<std::shared_ptr<bridge::DeadLetterStats>> dead_;  ///< by queue
    std::vector<std::unique_ptr<shard::Shard>> shards_;
    std::vector<std::string> damage_;
};

}  // namespace sluice::sim
