#pragma once
/// RetainedIndex: topic to its retained message. Shared by all shards: striped locks inside, every call is
/// safe from any thread.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "core/message.hpp"
#include "core/retained_order.hpp"

namespace sluice::core {

/// Stripes are chosen by the hash of the whole topic, so that writers seldom meet even when all topics begin
/// alike. Each stripe keeps its topics twice: hashed for the exact lookup and in byte order for filters. A
/// filter asks every stripe, but each seeks straight to the filter's literal prefix and jumps over branches
/// that cannot match; the lock is given back every few hundred topics, so a `#` over a million topics does
/// not hold up a publisher. A match is therefore no snapshot of one moment across topics.
///
/// Order: all shards change a topic here one after the other, and the disk follows that order
/// (RetainedOrder), so a restart finds the message that was here last. Of one publisher this is always its
/// newest. Publishers on different shards have no order among each other: a live subscriber may see their
/// last messages in the other order than this index took them, as it may with any two publishers
/// [MQTT-4.6.0-5 orders the messages of one client]. What is retained in the end is then the newest of one of
/// them; subscribers on different shards may differ in which they saw last.
class RetainedIndex {
  public:
    /// What `set` did; tells the caller what came of it.
    enum class Change { stored, replaced, cleared, nothing_to_clear, refused_full };

    /// `writers`: the shards that change it, numbered from 0.
    explicit RetainedIndex(std::size_t messages_max, std::uint32_t writers = 1);
    ~RetainedIndex();

    /// Stores the message under its topic; an empty payload clears it [MQTT-3.3.1-6]. Over the limit a new
    /// topic is refused. `sequence` is for the ledger, which gets an entry for every change but
    /// `refused_full`: also where there was nothing to clear, because what had been there may still be on its
    /// way off the disk.
    Change set(const MessagePtr& message, std::uint32_t writer, RetainedSequence& sequence);
    /// The same for what has no ledger entry.
    Change set(const MessagePtr& message);
    /// Likewise, and the limit does not refuse it: what was on disk before the limit was lowered, and what
    /// the broker says of itself.
    void keep(const MessagePtr& message);
    /// Null when there is none. Does not look at the expiry.
    MessagePtr find(std::string_view topic) const;
    /// All retained messages whose topic matches, expired ones left out, in no promised order. A filter
    /// without wildcards costs one lookup. `filter` is valid (wire::is_topic_filter).
    std::vector<MessagePtr> match(std::string_view filter, WallTime now) const;
    struct Expired {
        MessagePtr message;
        RetainedSequence sequence = 0;
    };
    /// Removes what has expired, at most `messages_max` of it, and returns it, for the ledger. Cheap when
    /// nothing has.
    std::vector<Expired> expire(WallTime now, std::size_t messages_max = SIZE_MAX, std::uint32_t writer = 0);
    /// Whoever writes the ledger says when it has handed it over.
    RetainedOrder& order();
    /// For topics that are new from now on; what is there stays.
    void set_messages_max(std::size_t messages_max);
    std::size_t size() const;
    /// An estimate of the memory held, messages included.
    std::size_t footprint_bytes() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::core
