#pragma once
/// Mutant: between the shards and the store; passes everything on, unless it is to break a promise on
/// purpose. The simulation must catch each of these: it is the test of the test.
#include <optional>
#include <string_view>

#include "store/queued_store.hpp"

namespace sluice::sim {

enum class Mutation : std::uint8_t {
    none,
    ack_before_commit,    ///< a batch is called durable when it is posted
    sync_ignored,         ///< the disk says yes to fsync and does nothing (see Disk)
    inbound_unrecorded,   ///< QoS 2 packet ids of publishers are not written down
    outbound_unrecorded,  ///< nor is what is in flight to subscribers
    settle_lost,          ///< what was acknowledged by a receiver stays in its queue
    arrivals_lost,        ///< who has a QoS 2 message already is not noted
    retained_first_wins,  ///< of two changes of a retained message the older one is written last
    subscription_lost,    ///< SUBACK without a record
};

struct MutationName {
    std::string_view name;
    Mutation mutation;
};
constexpr MutationName mutation_names[] = {
    {"ack_before_commit", Mutation::ack_before_commit},
    {"sync_ignored", Mutation::sync_ignored},
    {"inbound_unrecorded", Mutation::inbound_unrecorded},
    {"outbound_unrecorded", Mutation::outbound_unrecorded},
    {"settle_lost", Mutation::settle_lost},
    {"arrivals_lost", Mutation::arrivals_lost},
    {"retained_first_wins", Mutation::retained_first_wins},
    {"subscription_lost", Mutation::subscription_lost},
};
inline std::optional<Mutation> find_mutation(std::string_view name) {
    for (const MutationName& one : mutation_names)
        if (one.name == name) return one.mutation;
    return std::nullopt;
}

class Mutant final : public store::Store {
  public:
    Mutant(store::Store& real, store::StoreEvents& events, Mutation mutation)
        : real_(real), events_(events), mutation_(mutation) {}

    Result<store::Recovered, std::string> open() override { return real_.open(); }
    void start(store::StoreEvents& events) override { real_.start(events); }
    void stop() override { real_.stop(); }
    void post_batch(store::ShardIndex shard, store::TurnNumber turn,
                    std::vector<core::LedgerEntry> batch) override;
    void post_load_queue(store::ShardIndex shard, core::SessionKey session, core::RowId after,
                         std::size_t messages_max, std::size_t bytes_max) override {
        real_.post_load_queue(shard, session, after, messages_max, bytes_max);
    }
    void post_find_oldest(store::ShardIndex shard, core::SessionKey session, core::RowId after,
                          std::size_t rows_max) override {
        real_.post_find_oldest(shard, session, after, rows_max);
    }
    store::StoreStats stats() const override { return real_.stats(); }

  private:
    /// True when the entry is not to reach the store.
    bool spoil(core::LedgerEntry& entry);

    store::Store& real_;
    store::StoreEvents& events_;
    const Mutation mutation_;
};

}  // namespace sluice::sim
