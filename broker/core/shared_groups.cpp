#include "core/shared_groups.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "wire/topic.hpp"

namespace sluice::core {

SharedGroups::GroupId SharedGroups::find(std::string_view text) const {
    const auto found = by_text_.find(text);
    return found == by_text_.end() ? no_group : found->second;
}

SharedGroups::GroupId SharedGroups::make(std::string_view text) {
    GroupId id = 0;
    if (free_.empty()) {
        id = static_cast<GroupId>(groups_.size());
        groups_.emplace_back();
    } else {
        id = free_.back();
        free_.pop_back();
    }
    Group& group = groups_[id];
    group.share = Share(text);
    group.standings.resize(shards_);
    group.credits.resize(shards_);
    by_text_.emplace(group.share.view(), id);
    if (!tree_) tree_ = std::make_unique<TopicTree>();
    tree_->subscribe(wire::parse_share(text).filter, id, {});
    return id;
}

/// A group stays until nobody has a member and everybody knows it.
void SharedGroups::remove_if_unused(GroupId id) {
    Group& group = groups_[id];
    const auto has_members = [](const Standing& standing) { return standing.weight > 0; };
    if (group.changed || std::any_of(group.standings.begin(), group.standings.end(), has_members)) return;
    tree_->unsubscribe(wire::parse_share(group.share.view()).filter, id);
    by_text_.erase(group.share.view());
    group = Group{};
    free_.push_back(id);
    if (by_text_.empty()) tree_.reset();
}

void SharedGroups::update_standing(GroupId id) {
    Group& group = groups_[id];
    const auto members = [&group](Readiness readiness) {
        return static_cast<std::uint32_t>(group.tiers[static_cast<std::size_t>(readiness)].size());
    };
    Standing now;
    if (const std::uint32_t connected = members(Readiness::ready) + members(Readiness::busy); connected > 0) {
        now = {members(Readiness::ready) > 0 ? Readiness::ready : Readiness::busy, connected};
    } else if (members(Readiness::away) > 0) {
        now = {Readiness::away, members(Readiness::away)};
    } else {
        now = {Readiness::full, members(Readiness::full)};
    }
    group.standings[here_] = now;
    if (now == group.told || group.changed) return;
    group.changed = true;
    changed_.push_back(id);
}

bool SharedGroups::join(std::string_view text, SubscriberId subscriber, const SubscriptionOptions& options,
                        Readiness readiness) {
    GroupId id = find(text);
    if (id == no_group) id = make(text);
    Subscriber& joining = subscribers_[subscriber];
    if (joining.places.empty()) joining.readiness = readiness;
    const auto [place, is_new] = joining.places.try_emplace(id);
    if (!is_new) {
        place->second->options = options;
        return false;
    }
    std::list<Member>& list = tier(id, joining.readiness);
    place->second = list.insert(list.end(), {subscriber, options});
    ++memberships_;
    update_standing(id);
    return true;
}

bool SharedGroups::leave(std::string_view text, SubscriberId subscriber) {
    const auto leaving = subscribers_.find(subscriber);
    const GroupId id = find(text);
    if (id == no_group || leaving == subscribers_.end()) return false;
    const auto place = leaving->second.places.find(id);
    if (place == leaving->second.places.end()) return false;
    tier(id, leaving->second.readiness).erase(place->second);
    leaving->second.places.erase(place);
    if (leaving->second.places.empty()) subscribers_.erase(leaving);
    --memberships_;
    update_standing(id);
    remove_if_unused(id);
    return true;
}

void SharedGroups::set_readiness(SubscriberId subscriber, Readiness readiness) {
    const auto found = subscribers_.find(subscriber);
    if (found == subscribers_.end() || found->second.readiness == readiness) return;
    const Readiness before = std::exchange(found->second.readiness, readiness);
    for (const auto& [id, place] : found->second.places) {
        std::list<Member>& to = tier(id, readiness);
        to.splice(to.end(), tier(id, before), place);
        update_standing(id);
    }
}

void SharedGroups::set_standing(std::string_view text, Shard shard, Standing standing) {
    CHECK(shard < shards_ && shard != here_);
    GroupId id = find(text);
    if (id == no_group) {
        if (standing.weight == 0) return;
        id = make(text);
    }
    groups_[id].standings[shard] = standing;
    remove_if_unused(id);
}

std::vector<SharedGroups::News> SharedGroups::take_news() {
    std::vector<News> news;
    for (const GroupId id : std::exchange(changed_, {})) {
        Group& group = groups_[id];
        group.changed = false;
        const Standing& now = group.standings[here_];
        if (now != group.told) news.push_back({group.share, now});
        group.told = now;
        remove_if_unused(id);
    }
    return news;
}

bool SharedGroups::is_better_elsewhere(GroupId id) const {
    if (id == no_group) return false;
    const std::vector<Standing>& standings = groups_[id].standings;
    return std::any_of(standings.begin(), standings.end(), [&](const Standing& other) {
        return other.weight > 0 && (standings[here_].weight == 0 || other.best < standings[here_].best);
    });
}

std::optional<SharedGroups::Shard> SharedGroups::pick_shard(GroupId id, std::span<const Shard> tried) {
    if (id == no_group) return std::nullopt;
    Group& group = groups_[id];
    const auto may_be_asked = [&](Shard shard) {
        return group.standings[shard].weight > 0 &&
               std::find(tried.begin(), tried.end(), shard) == tried.end();
    };
    auto best = Readiness::full;
    for (Shard shard = 0; shard < shards_; ++shard)
        if (may_be_asked(shard)) best = std::min(best, group.standings[shard].best);
    // Smooth weighted round robin: everybody earns its weight, the richest is next and pays for all.
    std::int64_t total = 0;
    std::optional<Shard> next;
    for (Shard shard = 0; shard < shards_; ++shard) {
        if (!may_be_asked(shard) || group.standings[shard].best != best) continue;
        group.credits[shard] += group.standings[shard].weight;
        total += group.standings[shard].weight;
        if (!next || group.credits[shard] > group.credits[*next]) next = shard;
    }
    if (next) group.credits[*next] -= total;
    return next;
}

}  // namespace sluice::core
