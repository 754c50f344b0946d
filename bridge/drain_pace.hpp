#pragma once
/// DrainPace: `drain_rate` of a bridge, shared by those of its lanes that have something to catch up with.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/clock.hpp"

namespace sluice::bridge {

/// One per bridge; any thread.
class DrainPace {
  public:
    /// `rate`: messages per second; 0: no limit.
    explicit DrainPace(std::uint32_t rate) : rate_(rate) {}
    std::uint32_t rate() const { return rate_; }
    void join() { lanes_.fetch_add(1, std::memory_order_relaxed); }
    void leave() { lanes_.fetch_sub(1, std::memory_order_relaxed); }
    /// Of each lane that has joined, per second.
    double share() const {
        return static_cast<double>(rate_) / std::max(1U, lanes_.load(std::memory_order_relaxed));
    }

  private:
    const std::uint32_t rate_;
    std::atomic<std::uint32_t> lanes_{0};
};

/// One lane's part in it. The lane's thread.
class LanePace {
  public:
    explicit LanePace(std::shared_ptr<DrainPace> whole) : whole_(std::move(whole)) {}
    ~LanePace() { end(); }
    LanePace(const LanePace&) = delete;
    LanePace& operator=(const LanePace&) = delete;

    /// From now on allow() holds back.
    void begin() { holds_ = whole_->rate() > 0; }
    /// It has caught up, or has nobody to send to.
    void end() {
        holds_ = false;
        leave();
    }
    /// How many of those that wait may leave now; they count as gone. To be called now and then also when
    /// none waits: one that has nothing to send for a second, since its upstream takes nothing, leaves its
    /// part to the others.
    std::size_t allow(std::size_t waiting, MonoTime now) {
        if (!holds_) return waiting;
        if (waiting == 0) {
            if (joined_ && now - refilled_ > patience) leave();
            return 0;
        }
        if (!joined_) {
            joined_ = true;
            whole_->join();
            allowance_ = 0;
            refilled_ = now;
        }
        const double share = whole_->share();
        const double passed_s = std::chrono::duration<double>(now - refilled_).count();
        refilled_ = now;
        // More than this never leaves in one go: a long pause is no burst. And the part of a message that
        // was left over: a low rate would be lower still without it.
        allowance_ = std::min(share * burst_s + 1, allowance_ + passed_s * share);
        const std::size_t allowed = std::min(waiting, static_cast<std::size_t>(allowance_));
        allowance_ -= static_cast<double>(allowed);
        return allowed;
    }

  private:
    void leave() {
        if (joined_) whole_->leave();
        joined_ = false;
    }
    static constexpr double burst_s = 0.2;
    static constexpr std::chrono::seconds patience{1};

    const std::shared_ptr<DrainPace> whole_;
    bool holds_ = false;
    bool joined_ = false;  ///< something has waited since begin()
    double allowance_ = 0;
    MonoTime refilled_{};
};

}  // namespace sluice::bridge
