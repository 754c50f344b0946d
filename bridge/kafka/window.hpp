#pragma once
/// Window: what of one partition has been handed on and is not settled, and how far it is safe here.
#include <algorithm>
#include <cstdint>
#include <set>

namespace sluice::bridge::kafka {

/// Offsets of a partition have gaps (compaction, transactions), so they are remembered one by one; their
/// number is bounded by whoever hands on.
class Window {
  public:
    /// `next`: the offset of the record that comes first. `committed`: what the group has committed;
    /// negative: nothing.
    Window(std::int64_t next, std::int64_t committed) : next_(next), committed_(committed) {}

    /// False: the record is not behind those before it, since the partition has begun anew.
    bool is_behind(std::int64_t offset) const { return offset >= next_; }
    void add(std::int64_t offset) {
        unsettled_.insert(offset);
        next_ = std::max(next_, offset + 1);
    }
    void settle(std::int64_t offset) { unsettled_.erase(offset); }

    /// Everything before it is settled: what may be committed.
    std::int64_t position() const { return unsettled_.empty() ? next_ : *unsettled_.begin(); }
    std::int64_t committed() const { return committed_; }
    bool is_committed() const { return position() == committed_; }
    void set_committed(std::int64_t offset) { committed_ = offset; }

  private:
    std::int64_t next_;
    std::int64_t committed_;
    std::set<std::int64_t> unsettled_;
};

}  // namespace sluice::bridge::kafka
