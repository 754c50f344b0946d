#pragma once
/// RetainedGate: of two changes of one retained message the later one wins, whichever comes first. Remembers
/// only what may still be contradicted: see core::RetainedOrder.
#include <cstddef>
#include <string>
#include <unordered_map>

#include "core/ledger.hpp"

namespace sluice::store {

class RetainedGate {
  public:
    /// False: a later change of this topic was here before. Sequence 0: as it comes.
    bool admit(const std::string& topic, core::RetainedSequence sequence) {
        if (sequence == 0) return true;
        auto& last = last_[topic];
        if (sequence < last) return false;
        last = sequence;
        return true;
    }
    /// Nothing up to `sequence` is still to come.
    void forget_up_to(core::RetainedSequence sequence) {
        // Not each time: a shard in a long turn holds the number back, and others go on meanwhile.
        if (last_.size() < next_look_) return;
        std::erase_if(last_, [sequence](const auto& known) { return known.second <= sequence; });
        next_look_ = 2 * last_.size() + 64;
    }
    std::size_t size() const { return last_.size(); }

  private:
    std::unordered_map<std::string, core::RetainedSequence> last_;
    std::size_t next_look_ = 64;
};

}  // namespace sluice::store
