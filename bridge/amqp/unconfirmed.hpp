#pragma once
/// Unconfirmed: what was sent to the server and waits for its confirm.
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "bridge/lane_queue.hpp"

namespace sluice::bridge::amqp {

/// By delivery tag, which counts from 1 on each channel. What is settled is gone at once, so that one message
/// that the server does not confirm for hours holds nothing but itself. One thread.
class Unconfirmed {
  public:
    struct Sent {
        Held held;
        std::string returned;  ///< why it came back; empty when it did not
    };

    /// The delivery tag of what is added next.
    std::uint64_t next_tag() const { return next_tag_; }
    /// The youngest there is; 0 when empty.
    std::uint64_t last_tag() const { return sent_.empty() ? 0 : sent_.rbegin()->first; }
    void add(Held held) { sent_.emplace_hint(sent_.end(), next_tag_++, Sent{std::move(held), {}}); }
    /// Its ack follows.
    void came_back(std::uint64_t tag, const std::string& why) {
        if (const auto found = sent_.find(tag); found != sent_.end()) found->second.returned = why;
    }
    /// Calls `each(Sent&)` for what an ack or nack speaks of, oldest first, and forgets it. Tag 0 with
    /// `multiple` means all there are.
    template <class F>
    void settle(std::uint64_t tag, bool multiple, F&& each) {
        const auto begin = multiple ? sent_.begin() : sent_.lower_bound(tag);
        const auto end = multiple && tag == 0 ? sent_.end() : sent_.upper_bound(tag);
        for (auto at = begin; at != end; ++at) each(at->second);
        sent_.erase(begin, end);
    }
    /// A new channel.
    void clear() {
        sent_.clear();
        next_tag_ = 1;
    }
    bool empty() const { return sent_.empty(); }
    std::size_t size() const { return sent_.size(); }
    auto begin() const { return sent_.begin(); }
    auto end() const { return sent_.end(); }

  private:
    std::map<std::uint64_t, Sent> sent_;
    std::uint64_t next_tag_ = 1;
};

}  // namespace sluice::bridge::amqp
