#pragma once
/// A ticket: one publish whose acknowledgement waits, for this shard's disk, for other shards, or for an
/// upstream. One thread.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "wire/reason_code.hpp"

namespace sluice::shard {

using TicketId = std::uint64_t;  ///< generation and index; 0: none

struct TicketAnswer {
    wire::ReasonCode code = wire::ReasonCode::success;
    bool matched = false;  ///< somebody wanted the message
};

/// Who opened a ticket. Called once per ticket, unless it was cancelled.
class TicketOwner {
  public:
    virtual void on_ticket(std::uint64_t cookie, const TicketAnswer& answer) = 0;

  protected:
    ~TicketOwner() = default;
};

class TicketTable {
  public:
    /// Opened with one wait of its own, which the opener, and nobody else, gives back with answer() when all
    /// waits are added.
    TicketId open(TicketOwner& owner, std::uint64_t cookie) {
        std::uint32_t index = 0;
        if (free_.empty()) {
            index = static_cast<std::uint32_t>(entries_.size());
            entries_.emplace_back();
        } else {
            index = free_.back();
            free_.pop_back();
        }
        Entry& entry = entries_[index];
        entry = {
            .owner = &owner, .cookie = cookie, .waits = 1, .generation = entry.generation + 1, .answer = {}};
        return TicketId{entry.generation} << 32 | index;
    }
    void add_waits(TicketId id, std::uint32_t count) {
        if (Entry* entry = find(id)) entry->waits += count;
    }
    /// What one part of the work came to; its wait goes on. The worst code of all is what the owner hears.
    void note(TicketId id, wire::ReasonCode code, bool matched) {
        Entry* entry = find(id);
        if (!entry) return;
        entry->answer.code = std::max(entry->answer.code, code);
        entry->answer.matched |= matched;
    }
    /// The same, and one wait is over.
    void answer(TicketId id, wire::ReasonCode code, bool matched) {
        note(id, code, matched);
        Entry* entry = find(id);
        if (!entry || --entry->waits > 0) return;
        TicketOwner* owner = entry->owner;
        const auto cookie = entry->cookie;
        const TicketAnswer result = entry->answer;
        close(id);
        if (owner) owner->on_ticket(cookie, result);
    }
    /// Somebody else hears the answer.
    void hand_over(TicketId id, TicketOwner& owner, std::uint64_t cookie) {
        Entry* entry = find(id);
        CHECK(entry);
        entry->owner = &owner;
        entry->cookie = cookie;
    }
    /// The owner is gone; later answers find nobody.
    void cancel(TicketId id) {
        if (find(id)) close(id);
    }
    std::size_t open_count() const { return entries_.size() - free_.size(); }

  private:
    struct Entry {
        TicketOwner* owner = nullptr;
        std::uint64_t cookie = 0;
        std::uint32_t waits = 0;  ///< 0: free
        std::uint32_t generation = 0;
        TicketAnswer answer;
    };
    Entry* find(TicketId id) {
        const auto index = static_cast<std::uint32_t>(id);
        if (id == 0 || index >= entries_.size()) return nullptr;
        Entry& entry = entries_[index];
        return entry.waits > 0 && entry.generation == id >> 32 ? &entry : nullptr;
    }
    void close(TicketId id) {
        entries_[static_cast<std::uint32_t>(id)].waits = 0;
        free_.push_back(static_cast<std::uint32_t>(id));
    }
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> free_;
};

}  // namespace sluice::shard
