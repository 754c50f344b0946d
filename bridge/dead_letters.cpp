#include "bridge/dead_letters.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sluice::bridge {

void DeadLetters::on_note(shard::LinkNote note) {
    const auto* request = std::get_if<shard::DeadLetterRequestPtr>(&note);
    if (request == nullptr) return;
    requests_.push_back(*request);
    if (requests_.size() == 1) begin();
}

void DeadLetters::end(wire::ReasonCode /*reason*/) {
    for (const auto& request : std::exchange(requests_, {})) {
        answer_.problem = "the bridge is being exchanged or stopped";
        if (request->answer) request->answer(std::exchange(answer_, {}));
    }
}

void DeadLetters::begin() {
    up_to_ = host_.newest_row();
    read_on(requests_.front()->after);
}

void DeadLetters::read_on(core::RowId after) {
    const Request& request = *requests_.front();
    // Of those that are asked for by name, the first may stand far behind.
    if (!request.ids.empty()) after = std::max(after, std::max<core::RowId>(request.ids.front(), 1) - 1);
    host_.read_queue(spec_.number, after);
}

void DeadLetters::on_read(std::vector<core::QueueEntry> entries, bool exhausted) {
    if (requests_.empty()) return;
    for (const core::QueueEntry& entry : entries)
        if (!take(entry)) return finish();
    if (exhausted || entries.empty()) return finish();
    read_on(entries.back().row);
}

bool DeadLetters::take(const core::QueueEntry& entry) {
    const Request& request = *requests_.front();
    const auto& ids = request.ids;
    if (entry.row > up_to_) return false;
    if (!ids.empty()) {
        if (entry.row > ids.back()) return false;
        if (!std::binary_search(ids.begin(), ids.end(), entry.row)) return true;
    }
    if (!entry.message) return true;
    const auto buried = look_at(*entry.message);
    switch (request.task) {
        case Request::Task::list:
        case Request::Task::show:
            if (answer_.letters.size() >= request.count_max) return false;
            if (buried)
                answer_.letters.push_back(describe(entry.row, *entry.message, *buried, spec_.bridge,
                                                   request.task == Request::Task::show));
            return true;
        case Request::Task::retry:
            return !buried || retry(entry, *buried);
        case Request::Task::drop:
            host_.forget(spec_.number, entry);
            ++answer_.done;
            return true;
    }
    return false;
}

std::string DeadLetters::staleness(const core::Message& message) const {
    const WallTime now = host_.now().wall;
    if (message.expired(now)) return "its Message Expiry Interval has passed";
    const bool too_old = spec_.age_max.count() > 0 && age_of(message.received(), now) > spec_.age_max;
    return too_old ? "it is older than spool.age_max, and would be dropped" : "";
}

bool DeadLetters::retry(const core::QueueEntry& entry, const Buried& buried) {
    const auto route = std::find_if(spec_.routes.begin(), spec_.routes.end(),
                                    [&](const auto& one) { return one.name == buried.route; });
    if (route == spec_.routes.end()) {
        answer_.problem = fmt::format("the bridge has no route '{}' any more", buried.route);
    } else if (auto problem = staleness(*entry.message); !problem.empty()) {
        answer_.problem = fmt::format("{}: {}", entry.row, problem);
    } else if (!host_.give(route->lane, dig_up(*entry.message, buried))) {
        answer_.problem = "the spool is full";
        return false;
    } else {
        host_.forget(spec_.number, entry);
        ++answer_.done;
    }
    return true;
}

void DeadLetters::finish() {
    const shard::DeadLetterRequestPtr request = std::move(requests_.front());
    requests_.pop_front();
    if (request->answer) request->answer(std::exchange(answer_, {}));
    answer_ = {};
    if (!requests_.empty()) begin();
}

}  // namespace sluice::bridge
