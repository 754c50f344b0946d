#include "bridge/down.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "base/log.hpp"

namespace sluice::bridge {
namespace {

// Of one letter to a shard: its turn must not get long.
constexpr std::size_t letter_messages_max = 64;

}  // namespace

std::string publisher_name(const std::string& bridge) {
    return "$bridge/" + bridge;
}

Down::Down(std::string bridge, std::string origin, std::vector<Way> ways, std::size_t inflight_max,
           shard::InletSet& inlets)
    : bridge_(std::move(bridge)),
      origin_(std::move(origin)),
      publisher_(publisher_name(bridge_)),
      ways_(std::move(ways)),
      held_max_(inflight_max),
      inlets_(inlets) {}

void Down::attach(Connector& connector) {
    const std::lock_guard lock(connector_mutex_);
    connector_ = &connector;
}

void Down::detach() {
    const std::lock_guard lock(connector_mutex_);
    connector_ = nullptr;
}

void Down::take(std::vector<Incoming> messages) {
    {
        const std::lock_guard lock(pause_mutex_);
        if (paused_) {
            std::move(messages.begin(), messages.end(), std::back_inserter(held_));
            // More than that are not unsettled: the connection has gone since, and the oldest come again.
            if (held_.size() > held_max_)
                held_.erase(held_.begin(), held_.end() - static_cast<std::ptrdiff_t>(held_max_));
            return;
        }
    }
    pass_on(messages);
}

void Down::pass_on(const std::vector<Incoming>& messages) {
    Batches batches(inlets_.size());
    std::vector<Settled> settled;
    for (const Incoming& incoming : messages) sort_out(incoming, batches, settled);
    for (std::size_t i = 0; i < batches.size(); ++i)
        if (!batches[i].empty()) inlets_.at(i).post_brought(shared_from_this(), std::move(batches[i]));
    settle(std::move(settled));
}

void Down::sort_out(const Incoming& incoming, Batches& batches, std::vector<Settled>& settled) {
    stats_.received.fetch_add(1, std::memory_order_relaxed);
    if (!origin_.empty() && incoming.origin == origin_) {
        stats_.own.fetch_add(1, std::memory_order_relaxed);
        settled.push_back({incoming.token, true, {}});
        return;
    }
    const Way& way = ways_.at(incoming.route);
    const auto now = std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
    auto message = to_message(incoming, way.topic, way.settings, publisher_, now);
    if (!message) {
        stats_.refused.fetch_add(1, std::memory_order_relaxed);
        complain(fmt::format("from '{}': {}", incoming.source, message.error()));
        settled.push_back({incoming.token, false, message.error()});
        return;
    }
    stats_.unsettled.fetch_add(1, std::memory_order_relaxed);
    const std::size_t shard = stable_hash(fmt::format("{}/{}", bridge_, incoming.route)) % batches.size();
    batches[shard].push_back({incoming.token, std::move(message).value()});
    if (batches[shard].size() < letter_messages_max) return;
    inlets_.at(shard).post_brought(shared_from_this(), std::exchange(batches[shard], {}));
}

void Down::on_brought(std::uint64_t token, wire::ReasonCode code) {
    stats_.unsettled.fetch_sub(1, std::memory_order_relaxed);
    if (!wire::is_error(code)) {
        stats_.kept.fetch_add(1, std::memory_order_relaxed);
        return settle({{token, true, {}}});
    }
    stats_.refused.fetch_add(1, std::memory_order_relaxed);
    const std::string why =
        fmt::format("a local queue refused it (reason code 0x{:02x})", static_cast<unsigned>(code));
    complain(why);
    settle({{token, false, why}});
}

void Down::settle(std::vector<Settled> settled) {
    if (settled.empty()) return;
    const std::lock_guard lock(connector_mutex_);
    if (connector_ != nullptr) connector_->settle(std::move(settled));
}

void Down::pause(bool paused) {
    const std::lock_guard one_at_a_time(operators_mutex_);
    for (;;) {
        std::vector<Incoming> held;
        {
            const std::lock_guard lock(pause_mutex_);
            if (!paused) held.swap(held_);
            if (held.empty()) paused_ = paused;
        }
        if (held.empty()) return;
        pass_on(held);  // what comes meanwhile waits behind it
    }
}

void Down::complain(const std::string& what) {
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    const auto now = Now::read().mono.time_since_epoch().count();
    if (limit.allow(now, suppressed))
        log::warn(
            fmt::format("bridge '{}': a message from the upstream cannot be used: {} ({} more since the "
                        "last line)",
                        bridge_, what, suppressed));
}

}  // namespace sluice::bridge
