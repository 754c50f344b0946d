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

namespace sluice::core {

/// Stripes are chosen by the hash of the whole topic, so that writers seldom meet even when all topics begin
/// alike. Each stripe keeps its topics twice: hashed for the exact lookup and in byte order for filters. A
/// filter asks every stripe, but each seeks straight to the filter's literal prefix and jumps over branches
/// that cannot match; the lock is given back every few hundred topics, so a `#` over a million topics does
/// not hold up a publisher. A match is therefore no snapshot of one moment across topics.
class RetainedIndex {
  public:
    /// What `set` did; tells the caller whether the ledger needs an entry.
    enum class Change { stored, replaced, cleared, nothing_to_clear, refused_full };

    explicit RetainedIndex(std::size_t messages_max);
    ~RetainedIndex();

    /// Stores the message under its topic; an empty payload clears it [MQTT-3.3.1-6]. Over the limit a new
    /// topic is refused.
    Change set(const MessagePtr& message);
    /// Null when there is none. Does not look at the expiry.
    MessagePtr find(std::string_view topic) const;
    /// All retained messages whose topic matches, expired ones left out, in no promised order. A filter
    /// without wildcards costs one lookup. `filter` is valid (wire::is_topic_filter).
    std::vector<MessagePtr> match(std::string_view filter, WallTime now) const;
    /// Removes what has expired, at most `messages_max` of it, and returns it, for the ledger. Cheap when
    /// nothing has. Between this and the ledger entry another shard may set the topic anew, so the entry
    /// names the message (ClearRetained::only).
    std::vector<MessagePtr> expire(WallTime now, std::size_t messages_max = SIZE_MAX);
    std::size_t size() const;
    /// An estimate of the memory held, messages included.
    std::size_t footprint_bytes() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::core
