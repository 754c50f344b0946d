#include "bridge/bad_places.hpp"

#include <utility>

namespace sluice::bridge {
namespace {

/// Time for an upstream that makes places by itself.
constexpr std::chrono::seconds named_by_message_wait{10};
/// Where one had to be given up lately places are not made by themselves: others get no time.
constexpr std::chrono::minutes refused_for{1};
constexpr std::chrono::seconds question_every{1};
/// Their names are made of messages: whoever sends them must not fill the memory.
constexpr std::size_t places_max = 1000;

}  // namespace

BadPlaces::Verdict BadPlaces::note(std::string_view name, Named named, Fault fault, std::string reason,
                                   Steady::time_point now) {
    Place& place = remember(name, now);
    place.asked = false;
    place.reason = std::move(reason);
    // It says how the upstream is set up, and nothing about a place that was there: a node that has just
    // started may not know of it yet.
    const bool gave_up_lately = last_given_up_ != Steady::time_point::min() &&
                                now - last_given_up_ < refused_for && !proven_.contains(name);
    const bool may_come = fault == Fault::missing && !place.is_given_up() && !gave_up_lately &&
                          now - place.since < named_by_message_wait;
    if (named == Named::by_config || may_come) {
        place.is_waited_for = true;
        return Verdict::wait;
    }
    place.refused_until = now + refused_for;
    last_given_up_ = now;
    if (const auto found = proven_.find(name); found != proven_.end()) proven_.erase(found);
    place.is_waited_for = false;
    return Verdict::refuse;
}

BadPlaces::Advice BadPlaces::before_send(std::string_view name, Named named, Steady::time_point now) {
    const auto found = places_.find(name);
    if (found == places_.end()) return Advice::send;
    Place& place = found->second;
    if (named == Named::by_message && place.is_given_up()) {
        if (now < place.refused_until || now < next_question_) return Advice::refuse;
        next_question_ = now + question_every;
        return Advice::ask;
    }
    if (place.asked) return Advice::send;
    place.asked = true;
    return Advice::ask;
}

void BadPlaces::delivered(std::string_view name) {
    if (const auto found = places_.find(name); found != places_.end()) places_.erase(found);
    if (proven_.contains(name)) return;
    // Those in use are soon there again.
    if (proven_.size() >= places_max) proven_.clear();
    proven_.emplace(name);
}

void BadPlaces::new_connection() {
    places_.clear();
    last_given_up_ = next_question_ = Steady::time_point::min();
}

std::string BadPlaces::reason_of(std::string_view name) const {
    const auto found = places_.find(name);
    return found == places_.end() ? std::string() : found->second.reason;
}

std::string_view BadPlaces::waited_for() const {
    for (const auto& [name, place] : places_)
        if (place.is_waited_for) return name;
    return {};
}

BadPlaces::Place& BadPlaces::remember(std::string_view name, Steady::time_point now) {
    if (const auto found = places_.find(name); found != places_.end()) return found->second;
    if (places_.size() >= places_max) forget_one();
    return places_.emplace(name, Place{.since = now, .reason = {}}).first->second;
}

/// Of those that nobody waits for, the one that is asked for next.
void BadPlaces::forget_one() {
    auto least = places_.begin();
    const auto rank = [](const Place& place) { return std::pair(place.is_waited_for, place.refused_until); };
    for (auto it = places_.begin(); it != places_.end(); ++it)
        if (rank(it->second) < rank(least->second)) least = it;
    places_.erase(least);
}

}  // namespace sluice::bridge
