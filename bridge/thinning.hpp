#pragma once
/// Thinning: what a route leaves out on purpose, before it reaches the spool: `sample`, `interval_min`,
/// `rate_max`.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/keyed_hash.hpp"
#include "bridge/condition.hpp"

namespace sluice::bridge {

struct ThinningRules {
    std::uint32_t sample = 1;  ///< one of so many messages of a topic, beginning with the first
    std::chrono::milliseconds interval_min{0};  ///< between two messages of a topic; 0: none
    double rate_per_s = 0;                      ///< messages of all topics together; 0: no limit
    bool any() const { return sample > 1 || interval_min.count() > 0 || rate_per_s > 0; }
};

/// One lane's; one thread. Remembers at most topics_max topics: beyond that the one that was silent for the
/// longest is forgotten, and its next message passes as a first one does.
class Thinning {
  public:
    static constexpr std::size_t topics_max = 4096;

    explicit Thinning(const ThinningRules& rules) : rules_(rules), allowance_(burst()) {}

    /// Whether the message goes on. The rules are asked in the order sample, interval_min, rate_max; what one
    /// leaves out does not count for those behind it.
    bool passes(std::string_view topic, MonoTime now);

  private:
    struct Topic {
        std::uint64_t hash = 0;
        std::uint32_t counted = 0;  ///< by `sample`, from the last one on that it let pass; 0: none yet
        bool has_passed = false;
        MonoTime passed_at{};
    };
    using Topics = std::list<Topic>;

    Topic& find(std::string_view name);
    /// A second's worth may come at once.
    double burst() const { return rules_.rate_per_s > 1 ? rules_.rate_per_s : 1; }
    bool take_allowance(MonoTime now);

    const ThinningRules rules_;
    const HashKey key_ = HashKey::random();
    Topics topics_;  ///< the one heard last in front
    std::unordered_map<std::uint64_t, Topics::iterator> by_hash_;
    double allowance_;
    MonoTime allowance_at_{};
};

/// What one lane lets into its spool, as LinkSpec::accepts has it: what meets the condition (nullptr: all)
/// and is not thinned out. Each call gives a new memory. `thinned` counts what is left out.
std::function<bool(const core::Message&)> make_accepts(std::shared_ptr<const Condition> condition,
                                                       const ThinningRules& rules,
                                                       std::shared_ptr<std::atomic<std::uint64_t>> thinned);

}  // namespace sluice::bridge
