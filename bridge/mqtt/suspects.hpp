#pragma once
/// Suspects: which message may be why the server hangs up, and which one it must be.
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "bridge/mqtt/connection.hpp"

namespace sluice::bridge::mqtt {

/// A server may have no other word for a message that it will never take than to hang up (3.1.1 knows none),
/// and that message would go first on each new connection. So what was under way twice in a row when it hung
/// up travels alone, and with which one alone it hangs up time and again, that one is refused.
///
/// A server that is restarted hangs up, too. What tells them apart: any answer to a message, any end without
/// one under way, any end for a reason of its own and any attempt that does not get a CONNACK begins the
/// count anew. Outlives connections. One thread.
class Suspects {
  public:
    /// Lane and sequence: the same in every offer.
    using Id = std::pair<std::uint32_t, std::uint64_t>;

    /// While there are any, one message is under way at a time.
    bool any() const { return !alone_.empty(); }
    /// The server has hung up on one that was alone: the next attempt is to be beyond doubt.
    bool on_trial() const { return trial_ && alone_.contains(trial_->id); }
    /// Whose messages are to go before those of other lanes: 0 first.
    int rank(std::uint32_t lane) const;

    void on_no_connection() { trial_.reset(); }
    /// A connection that was accepted has ended, with these unconfirmed. `prompt`: and soon after the last of
    /// them. True: it was one, and it is to be refused.
    bool on_end(Ending ending, const std::set<Id>& under_way, bool prompt);
    /// The server has answered, whatever it said.
    void on_answer(const Id& id);
    /// It is not asked again.
    void forget(const Id& id) { alone_.erase(id); }
    /// The spool does not have the older ones of this lane any more.
    void forget_before(const Id& id) {
        alone_.erase(alone_.lower_bound({id.first, 0}), alone_.lower_bound(id));
    }
    /// Of the lanes for which `is_idle` holds nothing will come.
    template <class F>
    void forget_lanes(F&& is_idle) {
        std::erase_if(alone_, [&](const Id& id) { return is_idle(id.first); });
    }

  private:
    struct Trial {
        Id id;
        int strikes = 0;
        int named = 0;  ///< of them, with words that mean a message
    };
    bool strike(const Id& id, Ending ending);

    std::set<Id> alone_;
    std::set<Id> last_under_way_;  ///< when the server hung up last
    std::optional<Trial> trial_;
};

}  // namespace sluice::bridge::mqtt
