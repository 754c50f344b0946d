#include "tests/sim/upstream.hpp"

#include <utility>

#include "tests/sim/message_id.hpp"

namespace sluice::sim {

void Upstream::offer(std::uint64_t epoch, std::vector<bridge::Outgoing> batch) {
    for (bridge::Outgoing& one : batch) {
        Lane& lane = lanes_.at(one.lane);
        if (!lane.up || epoch != lane.epoch) continue;  // was under way when it went down
        const MessageId id = id_of_message(*one.message);
        trace_.note("offered", one.lane, id, one.redelivery);
        oracle_.went_up(lane.name, id);
        lane.unconfirmed.push_back(std::move(one));
    }
}

void Upstream::broker_ended() {
    lanes_.clear();
}

shard::LinkNumber Upstream::lane_at(std::size_t index) const {
    auto at = lanes_.begin();
    std::advance(at, index);
    return at->first;
}

shard::LinkNote Upstream::go_up(shard::LinkNumber number) {
    Lane& lane = lanes_.at(number);
    lane.up = true;
    lane.epoch = ++epochs_;
    return shard::UpstreamUp{lane.epoch};
}

shard::LinkNote Upstream::go_down(shard::LinkNumber number) {
    Lane& lane = lanes_.at(number);
    lane.up = false;
    lane.unconfirmed.clear();
    return shard::UpstreamDown{"because"};
}

shard::LinkNote Upstream::confirm_some(shard::LinkNumber number, Random& random, bool refuses) {
    Lane& lane = lanes_.at(number);
    shard::UpstreamConfirmed note;
    for (std::size_t left = random.between(1, lane.unconfirmed.size()); left > 0; --left) {
        const auto at =
            lane.unconfirmed.begin() + static_cast<std::ptrdiff_t>(random.below(lane.unconfirmed.size()));
        const bool delivered = !refuses || !random.one_in(4);
        if (!delivered) oracle_.was_refused(id_of_message(*at->message));
        note.confirms.push_back({at->tag, delivered, delivered ? "" : "because"});
        lane.unconfirmed.erase(at);
    }
    return note;
}

}  // namespace sluice::sim
