#include "core/retained_index.hpp"

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <unordered_set>

#include "base/keyed_hash.hpp"
#include "base/memory_gauge.hpp"
#include "core/topic_scan.hpp"

namespace sluice::core {
namespace {

constexpr std::size_t stripe_count = 16;
/// Topics looked at before a match gives the lock back; some tens of microseconds.
constexpr std::size_t chunk_topics = 256;
/// Jumps shorter than this are walked: a step costs a tenth of a search.
constexpr int walk_before_seek = 8;
/// What a topic costs beside its message: a tree node, a hash node and its bucket, with the allocator's
/// share.
constexpr std::size_t entry_bytes = 64 + 32 + 8;

bool has_wildcard(std::string_view filter) {
    return filter.find_first_of("+#") != std::string_view::npos;
}

WallTime expires_at(const Message& message) {
    return message.received() + std::chrono::seconds(*message.expiry_interval_s());
}

struct Entry {
    std::uint64_t hash;
    mutable MessagePtr message;  ///< may be replaced by one of the same topic: the order stays

    std::string_view topic() const { return message->topic(); }
};

struct ByTopic {
    using is_transparent = void;
    bool operator()(const Entry& a, const Entry& b) const { return a.topic() < b.topic(); }
    bool operator()(const Entry& a, std::string_view b) const { return a.topic() < b; }
    bool operator()(std::string_view a, const Entry& b) const { return a < b.topic(); }
};
using Ordered = std::set<Entry, ByTopic>;

struct HashedTopic {
    std::uint64_t hash;
    std::string_view topic;
};
struct TopicHash {
    using is_transparent = void;
    std::size_t operator()(Ordered::const_iterator entry) const { return entry->hash; }
    std::size_t operator()(const HashedTopic& wanted) const { return wanted.hash; }
};
struct SameTopic {
    using is_transparent = void;
    bool operator()(Ordered::const_iterator a, Ordered::const_iterator b) const { return a == b; }
    bool operator()(const HashedTopic& a, Ordered::const_iterator b) const { return a.topic == b->topic(); }
    bool operator()(Ordered::const_iterator a, const HashedTopic& b) const { return a->topic() == b.topic; }
};

struct ByDeadline {
    bool operator()(const std::pair<WallTime, Ordered::const_iterator>& a,
                    const std::pair<WallTime, Ordered::const_iterator>& b) const {
        if (a.first != b.first) return a.first < b.first;
        return std::less<const Entry*>()(&*a.second, &*b.second);
    }
};

/// One share of the topics. Its owner holds `mutex` for every call. Messages that fall out are handed to the
/// caller, who lets them go after the lock.
struct alignas(64) Stripe {
    mutable std::mutex mutex;
    Ordered ordered;
    std::unordered_set<Ordered::const_iterator, TopicHash, SameTopic> exact;
    std::set<std::pair<WallTime, Ordered::const_iterator>, ByDeadline> deadlines;
    std::size_t message_bytes = 0;
    memory_gauge::Retained counted;

    const Entry* find(const HashedTopic& wanted) const {
        const auto found = exact.find(wanted);
        return found == exact.end() ? nullptr : &**found;
    }

    void watch(Ordered::const_iterator entry) {
        message_bytes += entry->message->footprint_bytes();
        if (entry->message->expiry_interval_s()) deadlines.emplace(expires_at(*entry->message), entry);
        counted.set(message_bytes + exact.size() * entry_bytes);
    }
    void unwatch(Ordered::const_iterator entry) {
        message_bytes -= entry->message->footprint_bytes();
        if (entry->message->expiry_interval_s()) deadlines.erase({expires_at(*entry->message), entry});
    }

    void insert(std::uint64_t hash, const MessagePtr& message) {
        const auto entry = ordered.insert(Entry{hash, message}).first;
        exact.insert(entry);
        watch(entry);
    }
    MessagePtr replace(Ordered::const_iterator entry, const MessagePtr& message) {
        unwatch(entry);
        MessagePtr old = std::exchange(entry->message, message);
        watch(entry);
        return old;
    }
    MessagePtr erase(Ordered::const_iterator entry) {
        unwatch(entry);
        MessagePtr old = entry->message;
        exact.erase(entry);
        ordered.erase(entry);
        counted.set(message_bytes + exact.size() * entry_bytes);
        return old;
    }

    /// Looks at up to chunk_topics topics from `from` on. False when the filter is through with this stripe;
    /// else `from` says where to go on.
    bool match_chunk(std::string_view filter, WallTime now, std::string& from,
                     std::vector<MessagePtr>& found) const {
        auto at = ordered.lower_bound(std::string_view(from));
        for (std::size_t seen = 0; at != ordered.end(); ++seen) {
            if (seen >= chunk_topics) {
                from.assign(at->topic());
                return true;
            }
            const ScanStep step = scan_step(filter, at->topic(), from);
            if (step == ScanStep::end) return false;
            if (step == ScanStep::match && !at->message->expired(now)) found.push_back(at->message);
            ++at;
            if (step != ScanStep::seek) continue;
            for (int i = 0; i < walk_before_seek && at != ordered.end() && at->topic() < from; ++i) ++at;
            if (at != ordered.end() && at->topic() < from) at = ordered.lower_bound(std::string_view(from));
        }
        return false;
    }
};

}  // namespace

struct RetainedIndex::Impl {
    Impl(std::size_t limit, std::uint32_t writers) : messages_max(limit), order(writers) {}

    std::atomic<std::size_t> messages_max;
    RetainedOrder order;
    const HashKey key = HashKey::random();
    std::atomic<std::size_t> size{0};
    mutable std::array<Stripe, stripe_count> stripes;

    HashedTopic hashed(std::string_view topic) const { return {keyed_hash(key, topic), topic}; }
    /// By the high bits: the low ones choose the bucket inside.
    Stripe& stripe_of(const HashedTopic& topic) const { return stripes[topic.hash >> 60]; }

    enum class Limit : bool { waived, holds };
    /// Takes one place under the limit, whichever stripe it is for.
    bool take_place(Limit limit) {
        if (limit == Limit::waived) {
            size.fetch_add(1, std::memory_order_relaxed);
            return true;
        }
        if (size.fetch_add(1, std::memory_order_relaxed) < messages_max.load(std::memory_order_relaxed))
            return true;
        size.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }

    /// `number(change)` runs under the lock of the topic.
    template <class Number>
    Change set(const MessagePtr& message, Limit limit, Number&& number) {
        const HashedTopic topic = hashed(message->topic());
        Stripe& stripe = stripe_of(topic);
        MessagePtr old;  // declared before the lock: freed after it
        const std::lock_guard lock(stripe.mutex);
        const Change change = change_locked(stripe, topic, message, limit, old);
        number(change);
        return change;
    }

    Change change_locked(Stripe& stripe, const HashedTopic& topic, const MessagePtr& message, Limit limit,
                         MessagePtr& old) {
        const auto found = stripe.exact.find(topic);
        const bool known = found != stripe.exact.end();
        if (message->payload().empty()) {  // [MQTT-3.3.1-6], and such a message is not stored [MQTT-3.3.1-7]
            if (!known) return Change::nothing_to_clear;
            old = stripe.erase(*found);
            size.fetch_sub(1, std::memory_order_relaxed);
            return Change::cleared;
        }
        if (known) {
            old = stripe.replace(*found, message);  // [MQTT-3.3.1-5]
            return Change::replaced;
        }
        if (!take_place(limit)) return Change::refused_full;
        stripe.insert(topic.hash, message);
        return Change::stored;
    }
};
static_assert(stripe_count == std::size_t{1} << (64 - 60));

RetainedIndex::RetainedIndex(std::size_t messages_max, std::uint32_t writers)
    : impl_(std::make_unique<Impl>(messages_max, writers)) {}
RetainedIndex::~RetainedIndex() = default;

RetainedIndex::Change RetainedIndex::set(const MessagePtr& message, std::uint32_t writer,
                                         RetainedSequence& sequence) {
    return impl_->set(message, Impl::Limit::holds, [&](Change change) {
        if (change != Change::refused_full) sequence = impl_->order.take(writer);
    });
}

RetainedIndex::Change RetainedIndex::set(const MessagePtr& message) {
    return impl_->set(message, Impl::Limit::holds, [](Change) {});
}

void RetainedIndex::keep(const MessagePtr& message) {
    impl_->set(message, Impl::Limit::waived, [](Change) {});
}

RetainedOrder& RetainedIndex::order() {
    return impl_->order;
}

MessagePtr RetainedIndex::find(std::string_view topic) const {
    const HashedTopic wanted = impl_->hashed(topic);
    const Stripe& stripe = impl_->stripe_of(wanted);
    const std::lock_guard lock(stripe.mutex);
    const Entry* entry = stripe.find(wanted);
    return entry == nullptr ? MessagePtr{} : entry->message;
}

std::vector<MessagePtr> RetainedIndex::match(std::string_view filter, WallTime now) const {
    std::vector<MessagePtr> found;
    if (!has_wildcard(filter)) {
        MessagePtr one = find(filter);
        if (one && !one->expired(now)) found.push_back(std::move(one));
        return found;
    }
    std::string from;
    for (const Stripe& stripe : impl_->stripes) {
        from.assign(scan_begin(filter));
        for (bool more = true; more;) {
            const std::lock_guard lock(stripe.mutex);
            more = stripe.match_chunk(filter, now, from, found);
        }
    }
    return found;
}

std::vector<RetainedIndex::Expired> RetainedIndex::expire(WallTime now, std::size_t messages_max,
                                                          std::uint32_t writer) {
    std::vector<Expired> gone;
    for (Stripe& stripe : impl_->stripes) {
        const std::lock_guard lock(stripe.mutex);
        auto due = stripe.deadlines.begin();
        while (gone.size() < messages_max && due != stripe.deadlines.end() && due->first <= now) {
            const auto entry = (due++)->second;
            if (!entry->message->expired(now)) continue;  // the clock was set since it came
            gone.push_back({stripe.erase(entry), impl_->order.take(writer)});
            impl_->size.fetch_sub(1, std::memory_order_relaxed);
        }
    }
    return gone;
}

void RetainedIndex::set_messages_max(std::size_t messages_max) {
    impl_->messages_max.store(messages_max, std::memory_order_relaxed);
}

std::size_t RetainedIndex::size() const {
    return impl_->size.load(std::memory_order_relaxed);
}

std::size_t RetainedIndex::footprint_bytes() const {
    std::size_t total = sizeof(Impl) + size() * entry_bytes;
    for (const Stripe& stripe : impl_->stripes) {
        const std::lock_guard lock(stripe.mutex);
        total += stripe.message_bytes;
    }
    return total;
}

}  // namespace sluice::core
