#pragma once
/// Outbox: what a device has measured and the broker has not acknowledged. It decides what is sent again and
/// counts an acknowledgement once, however often a message was sent. No clock and no network in here.
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.hpp"

namespace sluice::firmware {

class Outbox {
  public:
    /// Names one sending of one message: the failure of an old sending may be told after the message was
    /// sent anew.
    using Attempt = std::uint32_t;

    struct Sending {
        Attempt attempt = 0;
        std::uint64_t seq = 0;
        std::string payload;
        bool again = false;  ///< it was sent before
    };

    Outbox(std::size_t messages_max, std::size_t inflight_max)
        : messages_max_(messages_max), inflight_max_(inflight_max) {}

    bool full() const { return entries_.size() >= messages_max_; }
    bool empty() const { return entries_.empty(); }
    std::size_t size() const { return entries_.size(); }
    std::size_t inflight() const { return seq_of_.size(); }

    /// `seq` must grow; the outbox must not be full.
    void push(std::uint64_t seq, std::string payload);

    /// The oldest message that waits, now counted as in flight; nothing when none waits or enough is in
    /// flight.
    std::optional<Sending> take(MonoTime now);

    /// The broker took this sending. Yields the message's seq the first time, nothing afterwards.
    std::optional<std::uint64_t> on_acknowledged(Attempt attempt);

    /// This sending came to nothing; its message waits until `retry_at`.
    void on_failed(Attempt attempt, MonoTime retry_at);

    /// The connection is gone: all that was in flight waits again, and its attempts mean nothing any more.
    void release_all();

  private:
    struct Entry {
        std::string payload;
        bool in_flight = false;
        bool sent_before = false;
        MonoTime not_before{};
    };

    std::size_t messages_max_;
    std::size_t inflight_max_;
    Attempt last_attempt_ = 0;
    std::map<std::uint64_t, Entry> entries_;             ///< by seq: the order of sending
    std::unordered_map<Attempt, std::uint64_t> seq_of_;  ///< of what is in flight
};

}  // namespace sluice::firmware
