#pragma once
/// OutboundAliases: the topic aliases that the broker makes towards one client [MQTT5 3.3.2.3.4]. One
/// connection, one thread.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::shard {

/// A topic gets an alias when it comes for the second time: most topics of a wide filter never do, and each
/// would push a useful one out. A full table stays as it is while its aliases are in use; only one that many
/// messages have passed by is given to another topic. Plain LRU would set each alias anew for every message
/// as soon as one topic more than there are aliases takes turns.
class OutboundAliases {
  public:
    /// `maximum`: 1 to 65535, at most the client's Topic Alias Maximum [MQTT-3.1.2-26]. Holds no memory
    /// before the first topic has come.
    explicit OutboundAliases(std::uint16_t maximum) : maximum_(maximum) {}

    struct Choice {
        std::uint16_t alias = 0;  ///< 0: send the topic alone
        bool known = false;       ///< the client knows it: the alias alone is enough
    };
    /// What to send with this topic. Changes nothing: a packet that is not sent has told the client nothing.
    Choice choose(std::string_view topic) const;
    /// The packet with this choice is on its way. `choice.alias` 0 when it went without.
    void sent(Choice choice, std::string_view topic);

  private:
    struct Slot {
        std::string topic;
        std::uint64_t used_at = 0;  ///< by clock_
    };
    /// What has come once; a later topic may overwrite an earlier one.
    static constexpr std::size_t seen_count = 64;

    std::uint16_t slot_to_set() const;

    const std::uint16_t maximum_;
    std::uint64_t clock_ = 0;            ///< messages
    std::vector<std::uint64_t> hashes_;  ///< of slots_, beside them: they are what a search reads
    std::vector<Slot> slots_;            ///< by alias - 1
    std::vector<std::uint32_t> seen_;
};

}  // namespace sluice::shard
