#pragma once
/// Subscribers: who subscribed to one filter, and with which options.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/subscription.hpp"

namespace sluice::core {

struct SubscriberEntry {
    SubscriberId subscriber = 0;
    SubscriptionOptions options;
};

/// The subscribers of one filter: none, one (no allocation), or many.
class Subscribers {
  public:
    bool empty() const { return std::holds_alternative<std::monostate>(state_); }

    std::span<const SubscriberEntry> entries() const {
        if (const auto* one = std::get_if<SubscriberEntry>(&state_)) return {one, 1};
        if (const auto* many = std::get_if<std::unique_ptr<Many>>(&state_)) return (*many)->entries;
        return {};
    }

    /// True when the subscriber is new here.
    bool put(const SubscriberEntry& entry) {
        if (empty()) {
            state_ = entry;
            return true;
        }
        if (auto* one = std::get_if<SubscriberEntry>(&state_)) {
            if (one->subscriber == entry.subscriber) {
                *one = entry;
                return false;
            }
            auto many = std::make_unique<Many>();
            many->entries = {*one, entry};
            state_ = std::move(many);
            return true;
        }
        return std::get<std::unique_ptr<Many>>(state_)->put(entry);
    }

    bool remove(SubscriberId subscriber) {
        if (const auto* one = std::get_if<SubscriberEntry>(&state_)) {
            if (one->subscriber != subscriber) return false;
            state_ = std::monostate{};
            return true;
        }
        auto* many = std::get_if<std::unique_ptr<Many>>(&state_);
        if (many == nullptr || !(*many)->remove(subscriber)) return false;
        if ((*many)->entries.size() == 1) {
            const SubscriberEntry last = (*many)->entries.front();
            state_ = last;
        }
        return true;
    }

    std::size_t heap_bytes() const {
        const auto* many = std::get_if<std::unique_ptr<Many>>(&state_);
        return many == nullptr ? 0 : (*many)->heap_bytes();
    }

  private:
    /// In no order, so that adding and removing cost the same at 10 and at 100,000; long lists carry an
    /// index.
    struct Many {
        static constexpr std::size_t index_from = 32, no_index_below = 16;
        std::vector<SubscriberEntry> entries;
        std::unique_ptr<std::unordered_map<SubscriberId, std::uint32_t>> index;

        std::size_t find(SubscriberId subscriber) const {
            if (index) {
                const auto found = index->find(subscriber);
                return found == index->end() ? entries.size() : found->second;
            }
            std::size_t at = 0;
            while (at < entries.size() && entries[at].subscriber != subscriber) ++at;
            return at;
        }
        bool put(const SubscriberEntry& entry) {
            const std::size_t at = find(entry.subscriber);
            if (at < entries.size()) {
                entries[at] = entry;
                return false;
            }
            entries.push_back(entry);
            if (index) {
                index->emplace(entry.subscriber, static_cast<std::uint32_t>(at));
            } else if (entries.size() >= index_from) {
                index = std::make_unique<std::unordered_map<SubscriberId, std::uint32_t>>();
                for (std::uint32_t i = 0; i < entries.size(); ++i) index->emplace(entries[i].subscriber, i);
            }
            return true;
        }
        bool remove(SubscriberId subscriber) {
            const std::size_t at = find(subscriber);
            if (at == entries.size()) return false;
            if (index) {
                (*index)[entries.back().subscriber] = static_cast<std::uint32_t>(at);
                index->erase(subscriber);
            }
            entries[at] = entries.back();
            entries.pop_back();
            if (entries.size() < no_index_below) index.reset();
            if (entries.size() * 4 <= entries.capacity()) entries.shrink_to_fit();
            return true;
        }
        std::size_t heap_bytes() const {
            // A node of the index costs about 32 bytes with the allocator's share, a bucket 8.
            const std::size_t index_bytes = index ? index->size() * 32 + index->bucket_count() * 8 : 0;
            return sizeof(Many) + entries.capacity() * sizeof(SubscriberEntry) + index_bytes;
        }
    };
    std::variant<std::monostate, SubscriberEntry, std::unique_ptr<Many>> state_;
};

}  // namespace sluice::core
