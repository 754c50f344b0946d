#pragma once
/// TakeoverDamper: two clients with one client id push each other out for ever, each reconnecting at once,
/// and every round costs a session's work. Some take-overs at once are ordinary (a device on a bad network);
/// whoever goes on is made to wait. Pure; one thread.
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"

namespace sluice::shard {

class TakeoverDamper {
  public:
    /// So many at once are free, and one more after each of these times.
    static constexpr int free_takeovers = 20;
    static constexpr Millis one_more_after{5'000};
    /// Beyond, each waits so much longer than the last one did.
    static constexpr Millis delay_step{1'000};
    static constexpr Millis delay_max{5'000};
    /// Client ids that are looked after at one time; further ones are not slowed.
    static constexpr std::size_t clients_max = 10'000;

    /// Notes a take-over of this client id and says how long the newcomer has to wait for it; mostly 0.
    Millis note(std::string_view client_id, MonoTime now);
    std::size_t clients() const { return recent_.size(); }

  private:
    struct Recent {
        MonoTime all_forgotten_at{};  ///< moves on by one_more_after with each take-over
    };
    void forget_old(MonoTime now);

    std::unordered_map<std::string, Recent> recent_;
    MonoTime swept_{};
};

}  // namespace sluice::shard
