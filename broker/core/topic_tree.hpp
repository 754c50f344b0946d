#pragma once
/// TopicTree: which subscribers want a topic. Knows neither sessions nor shards. One thread.
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

#include "core/subscribers.hpp"
#include "core/subscription.hpp"

namespace sluice::core {

/// A tree of levels. A node knows its parent and its text; the way from a node to a child is one lookup in a
/// hash table that all nodes share, so a node costs the same whether it has one child or a million. `+` and
/// `#` are children like others, looked up only where a mark says that they are there. Every walk is a loop:
/// a filter of 32768 levels costs memory, not stack.
class TopicTree {
  public:
    TopicTree();
    ~TopicTree();
    TopicTree(TopicTree&&) noexcept;
    TopicTree& operator=(TopicTree&&) noexcept;

    /// Adds, or replaces the options of the same filter and subscriber. True when it is new. `filter` is
    /// valid (wire::is_topic_filter).
    bool subscribe(std::string_view filter, SubscriberId subscriber, const SubscriptionOptions& options);
    /// False when there was none.
    bool unsubscribe(std::string_view filter, SubscriberId subscriber);

    /// Calls `sink(SubscriberId, const SubscriptionOptions&)` once per matching subscription (a subscriber
    /// may come several times); the sink must not change the tree. Cost grows with the matching branches, not
    /// with the number of subscriptions. Allocates nothing unless more than 64 branches wait at once, which
    /// takes filters of more than 64 levels. `topic` is valid (wire::is_topic_name). The order depends on the
    /// calls that built the tree and on nothing else, so a simulation can be repeated.
    template <class Sink>
    void match(std::string_view topic, Sink&& sink) const {
        walk(topic, &sink, [](void* context, std::span<const SubscriberEntry> entries) {
            auto& call = *static_cast<std::remove_reference_t<Sink>*>(context);
            for (const SubscriberEntry& entry : entries) call(entry.subscriber, entry.options);
        });
    }

    /// Number of subscriptions.
    std::size_t size() const;
    /// An estimate of the memory held.
    std::size_t footprint_bytes() const;

  private:
    struct Node;
    struct Impl;

    using Visit = void (*)(void* context, std::span<const SubscriberEntry> entries);
    /// Calls `visit` once per matching filter.
    void walk(std::string_view topic, void* context, Visit visit) const;

    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::core
