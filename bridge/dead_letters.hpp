#pragma once
/// DeadLetters: the queue of what the upstream of a bridge has refused for good, on one shard. A link that is
/// never attached: nothing leaves its queue but by an operator's word, or because newer ones push it out.
#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "bridge/dead_letter.hpp"
#include "shard/link.hpp"

namespace sluice::bridge {

struct DeadLetterStats {
    std::atomic<std::uint64_t> waiting{0};
    std::atomic<std::uint64_t> dropped{0};  ///< pushed out
};

struct DeadLettersSpec {
    shard::LinkNumber number = 0;
    std::string bridge;
    struct Route {
        std::string name;
        shard::LinkNumber lane = 0;  ///< on this shard
    };
    std::vector<Route> routes;
    Millis age_max{0};  ///< of the routes' queues; 0: however old
};

/// Requests are served one after the other, each a window of the queue at a time. On its shard's thread.
class DeadLetters final : public shard::Link {
  public:
    DeadLetters(DeadLettersSpec spec, shard::LinkHost& host, std::shared_ptr<DeadLetterStats> stats)
        : spec_(std::move(spec)), host_(host), stats_owner_(std::move(stats)), stats_(*stats_owner_) {}

    Delivered deliver(const core::Send& /*send*/) override { return Delivered::taken; }
    void flush(Now /*now*/) override {}
    void end(wire::ReasonCode reason) override;
    void on_note(shard::LinkNote note) override;
    void on_backlog(const shard::Backlog& backlog) override {
        stats_.waiting.store(backlog.messages, std::memory_order_relaxed);
    }
    void on_drop(core::DropReason /*reason*/) override {
        stats_.dropped.fetch_add(1, std::memory_order_relaxed);
    }
    void on_read(std::vector<core::QueueEntry> entries, bool exhausted) override;

  private:
    using Request = shard::DeadLetterRequest;

    void begin();
    void read_on(core::RowId after);
    /// False: the request is done.
    bool take(const core::QueueEntry& entry);
    /// Why the queue of its route would drop it; empty when it would not.
    std::string staleness(const core::Message& message) const;
    /// False: the rest would fare no better.
    bool retry(const core::QueueEntry& entry, const Buried& buried);
    void finish();

    const DeadLettersSpec spec_;
    shard::LinkHost& host_;
    const std::shared_ptr<DeadLetterStats> stats_owner_;
    DeadLetterStats& stats_;
    std::deque<shard::DeadLetterRequestPtr> requests_;  ///< the first one is being served
    Request::Answer answer_;                            ///< of it, so far
    core::RowId up_to_ = 0;  ///< of it: what is refused again meanwhile comes behind this, and is not for it
};

}  // namespace sluice::bridge
