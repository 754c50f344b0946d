#include "core/topic_tree.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/keyed_hash.hpp"
#include "core/level_text.hpp"
#include "core/subscribers.hpp"

namespace sluice::core {
namespace {

using NodeId = std::uint32_t;
constexpr NodeId no_node = 0xffffffff;
constexpr NodeId root = 0;

/// Cuts the first level off `rest`; false when nothing is left. "a//b" has three levels, "" has one.
class LevelReader {
  public:
    explicit LevelReader(std::string_view text) : text_(text) {}
    bool next(std::string_view& level) {
        if (at_ > text_.size()) return false;
        level = text_.substr(at_, text_.find('/', at_) - at_);
        at_ += level.size() + 1;
        return true;
    }

  private:
    std::string_view text_;
    std::size_t at_ = 0;
};

/// A level of the topic that is being matched, hashed once however many branches ask for it.
struct HashedLevel {
    std::string_view text;
    std::uint64_t hash;
};

class HashedLevels {
  public:
    HashedLevels(const HashKey& key, std::string_view topic) : key_(key), topic_(topic) {}

    /// The level number `depth`, which begins at `offset`. The walk goes down before it goes sideways, so the
    /// first to ask for a depth has been at all smaller ones.
    HashedLevel at(std::size_t depth, std::size_t offset) {
        if (depth < known_) return first_[depth];
        const std::string_view text = topic_.substr(offset, topic_.find('/', offset) - offset);
        const HashedLevel level{text, keyed_hash(key_, text)};
        if (depth == known_ && known_ < first_.size()) first_[known_++] = level;
        return level;
    }

  private:
    const HashKey& key_;
    std::string_view topic_;
    std::size_t known_ = 0;
    std::array<HashedLevel, 16> first_;  // not initialised: most topics have few levels
};

/// A branch that is still to be walked.
struct Branch {
    NodeId node;
    std::uint32_t offset;  ///< where in the topic its next level begins
    std::uint32_t depth;
};

/// A stack that lives on the stack; only very deep trees make it ask for memory.
class Branches {
  public:
    void push(Branch branch) {
        if (size_ < first_.size()) {
            first_[size_++] = branch;
        } else {
            more_.push_back(branch);
        }
    }
    bool pop(Branch& branch) {
        if (!more_.empty()) {
            branch = more_.back();
            more_.pop_back();
            return true;
        }
        if (size_ == 0) return false;
        branch = first_[--size_];
        return true;
    }

  private:
    std::array<Branch, 64> first_;  // not initialised on purpose
    std::size_t size_ = 0;
    std::vector<Branch> more_;
};

}  // namespace

struct TopicTree::Node {
    NodeId parent = no_node;
    NodeId next = no_node;   ///< in the chain of its bucket, or in the free list
    std::uint32_t hash = 0;  ///< of parent and text: the bucket is a matter of its low bits
    std::uint32_t children : 30 = 0;
    std::uint32_t has_plus : 1 = 0;  ///< there is a child "+"
    std::uint32_t has_hash : 1 = 0;  ///< there is a child "#"
    LevelText text;
    Subscribers subscribers;
};

/// Nodes in chunks that never move, and linear hashing over them: the table grows and shrinks by one bucket
/// at a time, so no single SUBSCRIBE pays for rehashing a million.
struct TopicTree::Impl {
    static constexpr std::size_t chunk_nodes = 512;
    static constexpr std::size_t segment_buckets = 1024;

    const HashKey key = HashKey::random();
    const std::uint64_t plus_hash = keyed_hash(key, "+");
    const std::uint64_t hash_hash = keyed_hash(key, "#");
    std::vector<std::unique_ptr<Node[]>> chunks;
    std::vector<std::unique_ptr<NodeId[]>> segments;
    std::size_t bucket_count = 1;
    std::size_t bucket_base = 1;   ///< the largest power of two that is not above bucket_count
    std::size_t nodes_made = 0;    ///< also the first id never used
    std::size_t nodes_linked = 0;  ///< in the table: all but the root and the free ones
    NodeId free_list = no_node;
    std::size_t subscriptions = 0;
    std::size_t heap_bytes = 0;  ///< what texts and lists hold outside of the nodes

    Impl() {
        add_segment();
        new_node();  // the root
    }

    Node& node(NodeId id) { return chunks[id / chunk_nodes][id % chunk_nodes]; }
    const Node& node(NodeId id) const { return chunks[id / chunk_nodes][id % chunk_nodes]; }

    NodeId new_node() {
        if (free_list != no_node) {
            const NodeId id = free_list;
            free_list = node(id).next;
            return id;
        }
        CHECK(nodes_made < no_node);
        if (nodes_made == chunks.size() * chunk_nodes)
            chunks.push_back(std::make_unique<Node[]>(chunk_nodes));
        return static_cast<NodeId>(nodes_made++);
    }

    // The table.

    NodeId& bucket(std::size_t index) { return segments[index / segment_buckets][index % segment_buckets]; }
    std::size_t bucket_of(std::uint32_t hash) const {
        const std::size_t index = hash & (2 * bucket_base - 1);
        return index < bucket_count ? index : index - bucket_base;
    }
    static std::uint32_t edge_hash(NodeId parent, std::uint64_t level_hash) {
        const std::uint64_t mixed =
            (level_hash ^ (parent * 0x9e3779b97f4a7c15ULL)) * std::uint64_t{0xd6e8feb86659fd93ULL};
        return static_cast<std::uint32_t>(mixed >> 32);
    }

    void add_segment() {
        segments.push_back(std::make_unique<NodeId[]>(segment_buckets));
        std::fill_n(segments.back().get(), segment_buckets, no_node);
    }

    /// Moves from the chain of bucket `from` to bucket `to` what belongs there after a split.
    void grow_by_one() {
        if (bucket_count == segments.size() * segment_buckets) add_segment();
        const std::size_t from = bucket_count - bucket_base, to = bucket_count;
        if (++bucket_count == 2 * bucket_base) bucket_base = bucket_count;
        NodeId chain = bucket(from);
        bucket(from) = no_node;
        while (chain != no_node) {
            Node& moved = node(chain);
            NodeId& head = bucket(bucket_of(moved.hash));
            CHECK(&head == &bucket(from) || &head == &bucket(to));
            const NodeId after = moved.next;
            moved.next = head;
            head = chain;
            chain = after;
        }
    }

    void shrink_by_one() {
        const std::size_t gone = --bucket_count;
        if (bucket_count < bucket_base) bucket_base /= 2;
        NodeId* end = &bucket(gone - bucket_base);
        while (*end != no_node) end = &node(*end).next;
        *end = bucket(gone);
        bucket(gone) = no_node;
        if (bucket_count + 2 * segment_buckets <= segments.size() * segment_buckets) segments.pop_back();
    }

    void link(NodeId id) {
        if (++nodes_linked > bucket_count) grow_by_one();
        NodeId& head = bucket(bucket_of(node(id).hash));
        node(id).next = head;
        head = id;
    }

    void unlink(NodeId id) {
        NodeId* at = &bucket(bucket_of(node(id).hash));
        while (*at != id) at = &node(*at).next;
        *at = node(id).next;
        if (--nodes_linked * 2 < bucket_count && bucket_count > 1) shrink_by_one();
    }

    NodeId find_child(NodeId parent, std::string_view text, std::uint64_t level_hash) const {
        const std::uint32_t hash = edge_hash(parent, level_hash);
        const std::size_t index = bucket_of(hash);
        NodeId id = segments[index / segment_buckets][index % segment_buckets];
        while (id != no_node) {
            const Node& child = node(id);
            if (child.hash == hash && child.parent == parent && child.text.view() == text) break;
            id = child.next;
        }
        return id;
    }
    NodeId find_child(NodeId parent, std::string_view text) const {
        return find_child(parent, text, keyed_hash(key, text));
    }

    // The tree.

    NodeId add_child(NodeId parent, std::string_view text) {
        const NodeId id = new_node();
        Node& child = node(id);
        child.parent = parent;
        child.hash = edge_hash(parent, keyed_hash(key, text));
        child.text = LevelText(text);
        heap_bytes += child.text.heap_bytes();
        link(id);
        Node& above = node(parent);
        above.children = above.children + 1;
        if (text == "+") above.has_plus = 1;
        if (text == "#") above.has_hash = 1;
        return id;
    }

    /// Removes the node and all above it that nobody needs any more.
    void prune(NodeId id) {
        while (id != root && node(id).children == 0 && node(id).subscribers.empty()) {
            Node& gone = node(id);
            const NodeId parent = gone.parent;
            Node& above = node(parent);
            above.children = above.children - 1;
            if (gone.text.view() == "+") above.has_plus = 0;
            if (gone.text.view() == "#") above.has_hash = 0;
            unlink(id);
            heap_bytes -= gone.text.heap_bytes();
            gone = Node{};
            gone.next = free_list;
            free_list = id;
            id = parent;
        }
    }

    NodeId find_filter(std::string_view filter) const {
        NodeId at = root;
        LevelReader levels(filter);
        for (std::string_view level; at != no_node && levels.next(level);) at = find_child(at, level);
        return at;
    }
};

TopicTree::TopicTree() : impl_(std::make_unique<Impl>()) {}
TopicTree::~TopicTree() = default;
TopicTree::TopicTree(TopicTree&&) noexcept = default;
TopicTree& TopicTree::operator=(TopicTree&&) noexcept = default;

bool TopicTree::subscribe(std::string_view filter, SubscriberId subscriber,
                          const SubscriptionOptions& options) {
    Impl& tree = *impl_;
    NodeId at = root;
    LevelReader levels(filter);
    for (std::string_view level; levels.next(level);) {
        const NodeId child = tree.find_child(at, level);
        at = child != no_node ? child : tree.add_child(at, level);
    }
    Subscribers& here = tree.node(at).subscribers;
    tree.heap_bytes -= here.heap_bytes();
    const bool is_new = here.put({subscriber, options});
    tree.heap_bytes += here.heap_bytes();
    if (is_new) ++tree.subscriptions;
    return is_new;
}

bool TopicTree::unsubscribe(std::string_view filter, SubscriberId subscriber) {
    Impl& tree = *impl_;
    const NodeId at = tree.find_filter(filter);
    if (at == no_node) return false;
    Subscribers& here = tree.node(at).subscribers;
    const std::size_t heap_bytes_before = here.heap_bytes();
    if (!here.remove(subscriber)) return false;
    tree.heap_bytes = tree.heap_bytes - heap_bytes_before + here.heap_bytes();
    --tree.subscriptions;
    tree.prune(at);
    return true;
}

void TopicTree::walk(std::string_view topic, void* context, Visit visit) const {
    const Impl& tree = *impl_;
    if (tree.subscriptions == 0) return;
    HashedLevels levels(tree.key, topic);
    Branches waiting;
    Branch at{root, 0, 0};
    do {
        while (at.node != no_node) {
            const Node& node = tree.node(at.node);
            // A wildcard in the first level does not see topics that begin with '$' [MQTT-4.7.2-1].
            const bool wildcards = at.depth > 0 || topic.empty() || topic.front() != '$';
            // '#' also matches its parent level, so it is asked before the end of the topic [MQTT5 4.7.1.2].
            if (node.has_hash && wildcards)
                visit(context,
                      tree.node(tree.find_child(at.node, "#", tree.hash_hash)).subscribers.entries());
            if (at.offset > topic.size()) {
                const auto entries = node.subscribers.entries();
                if (!entries.empty()) visit(context, entries);
                break;
            }
            if (node.children == 0) break;
            const HashedLevel level = levels.at(at.depth, at.offset);
            const auto next_offset = static_cast<std::uint32_t>(at.offset + level.text.size() + 1);
            if (node.has_plus && wildcards)
                waiting.push({tree.find_child(at.node, "+", tree.plus_hash), next_offset, at.depth + 1});
            at = {tree.find_child(at.node, level.text, level.hash), next_offset, at.depth + 1};
        }
    } while (waiting.pop(at));
}

std::size_t TopicTree::size() const {
    return impl_->subscriptions;
}

std::size_t TopicTree::footprint_bytes() const {
    return sizeof(Impl) + impl_->chunks.size() * Impl::chunk_nodes * sizeof(Node) +
           impl_->segments.size() * Impl::segment_buckets * sizeof(NodeId) + impl_->heap_bytes;
}

}  // namespace sluice::core
