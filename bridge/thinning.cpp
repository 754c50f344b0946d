#include "bridge/thinning.hpp"

#include <algorithm>

namespace sluice::bridge {

bool Thinning::passes(std::string_view topic, MonoTime now) {
    Topic* about = nullptr;
    if (rules_.sample > 1 || rules_.interval_min.count() > 0) {
        about = &find(topic);
        if (about->counted > 0 && about->counted < rules_.sample) {
            ++about->counted;
            return false;
        }
        about->counted = 1;
        if (about->has_passed && now - about->passed_at < rules_.interval_min) return false;
    }
    if (!take_allowance(now)) return false;
    if (about) {
        about->has_passed = true;
        about->passed_at = now;
    }
    return true;
}

Thinning::Topic& Thinning::find(std::string_view name) {
    const std::uint64_t hash = keyed_hash(key_, name);
    if (const auto found = by_hash_.find(hash); found != by_hash_.end()) {
        topics_.splice(topics_.begin(), topics_, found->second);
        return topics_.front();
    }
    if (topics_.size() < topics_max) {
        topics_.emplace_front();
        by_hash_.emplace(hash, topics_.begin());
    } else {  // the oldest one's place in memory serves the new one
        topics_.splice(topics_.begin(), topics_, std::prev(topics_.end()));
        auto node = by_hash_.extract(topics_.front().hash);
        node.key() = hash;
        by_hash_.insert(std::move(node));
        topics_.front() = {};
    }
    topics_.front().hash = hash;
    return topics_.front();
}

bool Thinning::take_allowance(MonoTime now) {
    if (rules_.rate_per_s <= 0) return true;
    const double passed_s = std::chrono::duration<double>(now - allowance_at_).count();
    allowance_at_ = now;
    allowance_ = std::min(burst(), allowance_ + std::max(0.0, passed_s) * rules_.rate_per_s);
    if (allowance_ < 1) return false;
    allowance_ -= 1;
    return true;
}

std::function<bool(const core::Message&)> make_accepts(std::shared_ptr<const Condition> condition,
                                                       const ThinningRules& rules,
                                                       std::shared_ptr<std::atomic<std::uint64_t>> thinned) {
    if (!rules.any()) {
        if (!condition) return {};
        return [condition = std::move(condition)](const core::Message& message) {
            return condition->matches(message);
        };
    }
    // Shared because std::function copies; one lane's all the same.
    return [condition = std::move(condition), thinning = std::make_shared<Thinning>(rules),
            thinned = std::move(thinned)](const core::Message& message) {
        if (condition && !condition->matches(message)) return false;
        if (thinning->passes(message.topic(), Now::read().mono)) return true;
        thinned->fetch_add(1, std::memory_order_relaxed);
        return false;
    };
}

}  // namespace sluice::bridge
