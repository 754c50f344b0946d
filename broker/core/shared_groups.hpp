#pragma once
/// SharedGroups: the shared subscriptions of the broker as one shard sees them [MQTT5 4.8.2]: which of them
/// match a topic, which shard is next to serve one, and which of our own members is next. Knows neither
/// sessions nor mail. One thread.
#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/share.hpp"
#include "core/subscription.hpp"
#include "core/topic_tree.hpp"

namespace sluice::core {

/// How well a member could take a message now, best first.
enum class Readiness : std::uint8_t {
    ready,  ///< connected, and it would be sent at once
    busy,   ///< connected, and it would wait in its queue
    away,   ///< not connected, it would wait in its queue
    full,   ///< its queue takes no more
};
constexpr std::size_t readiness_count = 4;

class SharedGroups {
  public:
    /// "$share/GROUP/FILTER" is the name: equal groups with different filters are different shared
    /// subscriptions. The number is reused after the last member of all shards has left.
    using GroupId = std::uint32_t;
    using Shard = std::uint32_t;
    static constexpr GroupId no_group = 0xffffffff;

    struct Member {
        SubscriberId subscriber = 0;
        SubscriptionOptions options;
    };
    /// What all shards know of the members that one of them has.
    struct Standing {
        Readiness best = Readiness::full;
        std::uint32_t weight = 0;  ///< members that count at this readiness; 0: none at all
        friend bool operator==(const Standing&, const Standing&) = default;
    };
    struct News {
        Share share;
        Standing standing;
    };

    /// Before anything else: which shard of how many this is.
    void set_place(Shard here, Shard shards) {
        here_ = here;
        shards_ = shards;
    }

    bool empty() const { return by_text_.empty(); }
    /// Of ours, over all groups.
    std::size_t memberships() const { return memberships_; }

    /// Adds, or replaces the options of a member; true when it is new. `text` is valid (wire::parse_share).
    bool join(std::string_view text, SubscriberId subscriber, const SubscriptionOptions& options,
              Readiness readiness);
    /// False when it was no member.
    bool leave(std::string_view text, SubscriberId subscriber);
    /// Of a member, in all its groups.
    void set_readiness(SubscriberId subscriber, Readiness readiness);
    /// What another shard has told.
    void set_standing(std::string_view text, Shard shard, Standing standing);
    /// Our own standings that have changed since the last call, to be told to all other shards.
    std::vector<News> take_news();
    bool has_news() const { return !changed_.empty(); }

    /// Calls `sink(GroupId)` once per shared subscription that matches and has a member on any shard. The
    /// sink must not change the groups.
    template <class Sink>
    void match(std::string_view topic, Sink&& sink) const {
        if (!tree_) return;
        tree_->match(topic, [&sink](SubscriberId id, const SubscriptionOptions&) { sink(GroupId{id}); });
    }
    GroupId find(std::string_view text) const;
    const Share& share_of(GroupId group) const { return groups_[group].share; }

    /// The shard whose turn it is: among those with the best readiness, in proportion to their members; none
    /// when all that have members were tried.
    std::optional<Shard> pick_shard(GroupId group, std::span<const Shard> tried);
    /// Whether another shard has readier members than we have.
    bool is_better_elsewhere(GroupId group) const;
    /// Our member whose turn it is, best readiness first, and then whoever has waited longest. Those that
    /// `may(const Member&)` refuses are passed over; they keep their turn.
    template <class May>
    std::optional<Member> pick_member(GroupId group, May&& may) {
        if (group == no_group) return std::nullopt;
        for (std::list<Member>& tier : groups_[group].tiers) {
            for (auto it = tier.begin(); it != tier.end(); ++it) {
                if (!may(std::as_const(*it))) continue;
                tier.splice(tier.end(), tier, it);
                return *it;
            }
        }
        return std::nullopt;
    }

  private:
    using Place = std::list<Member>::iterator;
    struct Group {
        Share share;
        std::array<std::list<Member>, readiness_count> tiers;  ///< ours, by readiness, next one first
        std::vector<Standing> standings;                       ///< by shard, our own included
        std::vector<std::int64_t> credits;                     ///< by shard: smooth weighted round robin
        Standing told;                                         ///< our own, as the other shards know it
        bool changed = false;
    };
    struct Subscriber {
        Readiness readiness = Readiness::away;
        std::unordered_map<GroupId, Place> places;
    };

    GroupId make(std::string_view text);
    void remove_if_unused(GroupId id);
    void update_standing(GroupId id);
    std::list<Member>& tier(GroupId id, Readiness readiness) {
        return groups_[id].tiers[static_cast<std::size_t>(readiness)];
    }

    Shard here_ = 0;
    Shard shards_ = 1;
    std::deque<Group> groups_;
    std::vector<GroupId> free_;
    std::unordered_map<std::string_view, GroupId> by_text_;  ///< views into Group::share
    std::unordered_map<SubscriberId, Subscriber> subscribers_;
    std::unique_ptr<TopicTree> tree_;  ///< filters to groups; made with the first one
    std::vector<GroupId> changed_;
    std::size_t memberships_ = 0;
};

}  // namespace sluice::core
