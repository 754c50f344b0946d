#pragma once
/// LaneQueue: what one lane has offered and a connector has not sent yet, or must send again.
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "bridge/backoff.hpp"
#include "bridge/connector.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge {

/// A message on its way through a connector.
struct Held {
    Outgoing out;
    std::uint64_t sequence = 0;  ///< the order of offers; what is put back goes where it was
    std::uint32_t round = 0;     ///< of its queue, when it was taken
    bool suspect = false;        ///< was in a batch that was refused as a whole
};

/// Keeps the order as well as the upstream lets it: after a message was not taken the lane waits, then sends
/// one alone, and goes back to full speed only as sends succeed. One thread.
class LaneQueue {
  public:
    explicit LaneQueue(std::uint64_t seed) : backoff_(seed) {}

    void push(Outgoing out, std::uint64_t sequence) {
        waiting_.push_back({std::move(out), sequence, round_, false});
    }
    bool ready(Steady::time_point now) const {
        return !waiting_.empty() && in_flight_ < window_ && now >= held_until_;
    }
    const Held& front() const { return waiting_.front(); }
    /// The oldest, which is now in flight. ready() was true.
    Held take() {
        Held held = std::move(waiting_.front());
        waiting_.pop_front();
        suspects_ -= held.suspect;
        held.round = round_;
        ++in_flight_;
        return held;
    }
    /// What was taken could not even be tried: back to its place, and no conclusion from it.
    void untake(Held held) {
        --in_flight_;
        insert(std::move(held));
    }
    /// It was not refused for itself: back to its place, to be sent again at once.
    void take_again(Held held) {
        ++retried_;
        untake(std::move(held));
    }
    /// The upstream has taken it, or refused it for good.
    void finished(const Held& held) {
        --in_flight_;
        if (held.round != round_) return;  // sent before the trouble: says nothing about the time after it
        if (window_ < unlimited) window_ *= 2;
        backoff_.reset();
    }
    /// The upstream did not take it now. The lane is held for a while.
    void put_back(Held held, Steady::time_point now) {
        --in_flight_;
        ++retried_;
        insert(std::move(held));
        ++round_;
        window_ = 1;
        if (now >= held_until_) held_until_ = now + backoff_.next();
    }
    bool has_suspects() const { return suspects_ > 0; }  ///< among those that wait
    void acquit() {
        for (Held& held : waiting_) held.suspect = false;
        suspects_ = 0;
    }
    /// When ready() may change by time alone; max() when not.
    Steady::time_point wake_at(Steady::time_point now) const {
        return !waiting_.empty() && held_until_ > now ? held_until_ : Steady::time_point::max();
    }
    std::size_t waiting() const { return waiting_.size(); }
    /// How many were to be sent again since the last call.
    std::uint64_t take_retried() { return std::exchange(retried_, 0); }

  private:
    static constexpr std::uint32_t unlimited = 1U << 30;

    void insert(Held held) {
        suspects_ += held.suspect;
        auto at = waiting_.begin();
        while (at != waiting_.end() && at->sequence < held.sequence) ++at;
        waiting_.insert(at, std::move(held));
    }

    std::deque<Held> waiting_;  ///< by sequence
    std::size_t suspects_ = 0;  ///< of them
    std::uint32_t in_flight_ = 0;
    std::uint32_t window_ = unlimited;
    std::uint32_t round_ = 0;
    std::uint64_t retried_ = 0;
    Steady::time_point held_until_{};
    Backoff backoff_;
};

/// All lanes of a connector, and the order in which their messages came.
class LaneSet {
  public:
    explicit LaneSet(std::uint64_t seed) : seed_(seed) {}

    void push(std::vector<Outgoing> offered) {
        for (Outgoing& out : offered) {
            LaneQueue& lane = at(out.lane);
            lane.push(std::move(out), next_sequence_++);
        }
    }
    LaneQueue& at(std::uint32_t id) {
        const auto found = lanes_.find(id);
        return found != lanes_.end() ? found->second : lanes_.try_emplace(id, seed_ + id).first->second;
    }
    LaneQueue& of(const Held& held) { return at(held.out.lane); }
    Steady::time_point wake_at(Steady::time_point now) const {
        auto earliest = Steady::time_point::max();
        for (const auto& [id, lane] : lanes_) earliest = std::min(earliest, lane.wake_at(now));
        return earliest;
    }
    /// LaneQueue::take_retried() of all, for Worker::retried().
    std::uint64_t take_retried() {
        std::uint64_t sum = 0;
        for (auto& [id, lane] : lanes_) sum += lane.take_retried();
        return sum;
    }
    void clear() { lanes_.clear(); }
    auto begin() { return lanes_.begin(); }
    auto end() { return lanes_.end(); }

  private:
    std::uint64_t seed_;
    std::uint64_t next_sequence_ = 0;
    std::map<std::uint32_t, LaneQueue> lanes_;
};

}  // namespace sluice::bridge
