#pragma once
/// Suspects: what was unconfirmed when the server closed the channel over a message without saying which. One
/// of them would close it again and again; so they travel one by one.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "bridge/amqp/unconfirmed.hpp"
#include "bridge/connector.hpp"

namespace sluice::bridge::amqp {

/// Outlives connections. One thread.
class Suspects {
  public:
    bool empty() const { return last_.empty(); }
    bool contains(const Outgoing& out) const {
        const auto found = last_.find(out.lane);
        return found != last_.end() && out.sequence <= found->second;
    }
    void add(const Unconfirmed& sent) {
        for (const auto& [tag, one] : sent) {
            auto& last = last_[one.held.out.lane];
            last = std::max(last, one.held.out.sequence);
        }
    }

    /// It is sent now, and nothing else is until its trial has ended.
    void try_alone(const Outgoing& out) { on_trial_ = Name{out.lane, out.sequence}; }
    bool trying() const { return on_trial_.has_value(); }
    /// Without a result.
    void end_trial() { on_trial_.reset(); }
    /// The server did not take it now.
    void postponed(const Outgoing& out) {
        if (on_trial_ == name_of(out)) on_trial_.reset();
    }
    /// It was confirmed or refused.
    void finished(const Outgoing& out) {
        if (empty()) return;
        postponed(out);
        if (accused_ == name_of(out)) accused_.reset();
        const auto found = last_.find(out.lane);
        if (found != last_.end() && out.sequence >= found->second) last_.erase(found);
    }
    /// The server closed the channel during a trial. True when it is the second time with the same message.
    bool convict() {
        const bool again = accused_ == on_trial_;
        accused_ = on_trial_;
        return again;
    }
    bool is_on_trial(const Outgoing& out) const { return on_trial_ == name_of(out); }

  private:
    struct Name {
        std::uint32_t lane = 0;
        std::uint64_t sequence = 0;
        bool operator==(const Name&) const = default;
    };
    static std::optional<Name> name_of(const Outgoing& out) { return Name{out.lane, out.sequence}; }

    std::map<std::uint32_t, std::uint64_t> last_;  ///< by lane: the sequence of the youngest suspect
    std::optional<Name> on_trial_;
    std::optional<Name> accused_;  ///< closed the channel alone, once
};

}  // namespace sluice::bridge::amqp
