#pragma once
/// RetainedRun: retained messages for the new subscriptions of one client that have not left yet, because the
/// client is to read others first. One thread.
///
/// Many clients may want all there is at the same time: an entry costs 16 bytes, and an index by topic is
/// made only when a newer message of some topic comes by.
#include <compare>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "core/message.hpp"
#include "shard/link.hpp"

namespace sluice::shard {

class RetainedRun {
  public:
    using WantedNumber = std::uint32_t;
    /// A message that is to leave now, and for which subscription.
    struct Due {
        core::MessagePtr message;
        LinkSpec::Wanted wanted;
    };

    /// The filter's number. What was found for it before and has not left is forgotten: it need not come
    /// twice.
    WantedNumber want(std::string_view filter, const core::SubscriptionOptions& options);
    const LinkSpec::Wanted& wanted(WantedNumber number) const { return wanted_[number]; }
    /// What the filter has found goes behind all that is there.
    void append(std::vector<core::MessagePtr>&& found, WantedNumber wanted);

    /// A filter for which nothing has been looked up, because memory was short; once is enough.
    void put_off(WantedNumber wanted);
    /// The next one of these; there must be one.
    WantedNumber take_put_off();
    bool any_put_off() const { return !put_off_.empty(); }

    std::size_t size() const { return items_.size(); }
    bool empty() const { return items_.empty() && put_off_.empty(); }
    /// The oldest one; there must be one. None: it has left out of turn, or is not wanted any more.
    std::optional<Due> pop();
    /// All of this topic that have not left: they go before anything newer of it does [MQTT-4.6.0-6].
    std::vector<Due> take_topic(std::string_view topic);

    bool posted = false;  ///< the next portion comes by itself

  private:
    struct Item {
        core::MessagePtr message;
        WantedNumber wanted = 0;
        bool left = false;
    };
    struct Place {
        std::uint32_t hash;
        std::uint32_t offset;  ///< from index_first_
        friend auto operator<=>(const Place&, const Place&) = default;
    };
    static std::uint32_t hash_of(std::string_view topic);
    void index_all();

    std::vector<LinkSpec::Wanted> wanted_;
    std::deque<WantedNumber> put_off_;
    std::deque<Item> items_;
    std::uint64_t first_ = 0;  ///< number of items_.front(), counted from the run's beginning
    // Sorted; of the items numbered from index_first_ to before index_end_.
    std::vector<Place> index_;
    std::uint64_t index_first_ = 0, index_end_ = 0;
};

}  // namespace sluice::shard
