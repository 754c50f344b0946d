#pragma once
/// BadPlaces: the topics or addresses that the upstream does not have, or not for us, and what that means for
/// messages.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "bridge/worker.hpp"

namespace sluice::bridge {

/// One that stands in the config is waited for: all of its route goes there, and an operator can make it
/// or grant it. One that a message has named must not hold up those that go elsewhere: it is given up, and
/// for a while its messages are refused without asking the upstream again. A place may be both, for two
/// routes. One thread.
class BadPlaces {
  public:
    enum class Named : std::uint8_t { by_config, by_message };
    enum class Fault : std::uint8_t { missing, forbidden };
    enum class Verdict : std::uint8_t {
        wait,    ///< the lane waits and tries again
        refuse,  ///< the message is refused
    };
    /// What to do before a message goes to the place.
    enum class Advice : std::uint8_t {
        send,
        ask,     ///< the upstream for the place first, and note() or delivered() what comes of it
        refuse,  ///< because of reason_of()
    };

    /// What the upstream has said of the place; `reason` is one line for the operator.
    Verdict note(std::string_view place, Named named, Fault fault, std::string reason,
                 Steady::time_point now);
    /// Each bad place is asked for once after each note(); of those that were given up one a second, since
    /// the question takes a round trip.
    Advice before_send(std::string_view place, Named named, Steady::time_point now);
    /// Something was delivered to it.
    void delivered(std::string_view place);
    bool knows(std::string_view place) const { return places_.contains(place); }
    std::string reason_of(std::string_view place) const;
    /// One that lanes wait for; empty: none.
    std::string_view waited_for() const;
    bool empty() const { return places_.empty(); }
    /// Whatever was wrong may be right now. What was delivered stays known.
    void new_connection();

  private:
    struct Place {
        Steady::time_point since;
        Steady::time_point refused_until = Steady::time_point::min();  ///< min(): it is not given up
        bool is_waited_for = false;                                    ///< by a lane, at the last note()
        bool asked = false;                                            ///< since the last note()
        std::string reason;
        bool is_given_up() const { return refused_until != Steady::time_point::min(); }
    };
    Place& remember(std::string_view place, Steady::time_point now);
    void forget_one();

    std::map<std::string, Place, std::less<>> places_;
    std::set<std::string, std::less<>> proven_;  ///< something was delivered to them, and none given up since
    Steady::time_point last_given_up_ = Steady::time_point::min();
    Steady::time_point next_question_ = Steady::time_point::min();  ///< for those that were given up
};

}  // namespace sluice::bridge
