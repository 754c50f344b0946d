#include "tests/sim/mutant.hpp"

#include <algorithm>

namespace sluice::sim {

void Mutant::post_batch(store::ShardIndex shard, store::TurnNumber turn,
                        std::vector<core::LedgerEntry> batch) {
    if (mutation_ != Mutation::none)
        std::erase_if(batch, [this](core::LedgerEntry& entry) { return spoil(entry); });
    if (mutation_ == Mutation::retained_first_wins) std::reverse(batch.begin(), batch.end());
    real_.post_batch(shard, turn, std::move(batch));
    if (mutation_ == Mutation::ack_before_commit) events_.on_committed(shard, turn);
}

bool Mutant::spoil(core::LedgerEntry& entry) {
    switch (mutation_) {
        case Mutation::inbound_unrecorded:
            if (auto* progress = std::get_if<core::SaveProgress>(&entry)) progress->inbound_released.clear();
            return false;
        case Mutation::outbound_unrecorded:
            if (auto* progress = std::get_if<core::SaveProgress>(&entry)) progress->outbound.clear();
            return false;
        case Mutation::settle_lost:
            return std::holds_alternative<core::SettleMessage>(entry);
        case Mutation::arrivals_lost:
            return std::holds_alternative<core::NoteArrival>(entry);
        case Mutation::subscription_lost:
            return std::holds_alternative<core::SaveSubscription>(entry);
        default:
            return false;
    }
}

}  // namespace sluice::sim
