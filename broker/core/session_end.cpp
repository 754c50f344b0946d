// What a session that ends has of shared subscriptions.
#include "core/session.hpp"

namespace sluice::core {

Session::Leftovers Session::give_up() {
    Leftovers left;
    (void)detach();
    for (std::size_t i = 0; i < inflight_.size(); ++i) {
        Inflight& inflight = inflight_[i];
        if (inflight.state != State::published) continue;
        if (!inflight.entry.message) {
            left.in_flight_behind.push_back(inflight.entry.row);
        } else if (inflight.entry.share && inflight.entry.qos == wire::QoS::at_least_once) {
            left.to_others.push_back(std::move(inflight.entry));  // QoS 2 must stay: [MQTT-4.8.2-5]
        }
    }
    for (; !queue_.empty(); queue_.pop_front()) {
        if (queue_.front().share) left.to_others.push_back(std::move(queue_.front()));
    }
    left.behind = shared_behind_ && behind_messages_ > 0;
    return left;
}

}  // namespace sluice::core
