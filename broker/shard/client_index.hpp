#pragma once
/// ClientIndex: which slot a client id has. It keeps the numbers of slots alone, four bytes each, and reads
/// the names where they stand: a map of names costs 50 bytes per client more. One thread.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/keyed_hash.hpp"
#include "core/subscription.hpp"

namespace sluice::shard {

/// `name_of(id)` is the client id of a slot that is in the index; it must not change while it is.
template <class NameOf>
class ClientIndex {
  public:
    static constexpr core::SubscriberId none = UINT32_MAX;

    explicit ClientIndex(NameOf name_of) : name_of_(name_of) {}

    core::SubscriberId find(std::string_view name) const {
        return table_.empty() ? none : table_[place_of(name)];
    }
    /// Its name is not in the index yet.
    void insert(core::SubscriberId id) {
        if ((count_ + 1) * 4 > table_.size() * 3) resize(table_.empty() ? size_min : table_.size() * 2);
        table_[place_of(name_of_(id))] = id;
        ++count_;
    }
    void erase(std::string_view name) {
        if (table_.empty()) return;
        std::size_t hole = place_of(name);
        if (table_[hole] == none) return;
        --count_;
        table_[hole] = none;
        // What had to go further because this place was taken moves up: a search ends at the first free one.
        for (std::size_t i = next(hole); table_[i] != none; i = next(i)) {
            const std::size_t home = home_of(name_of_(table_[i]));
            const bool stays = hole < i ? hole < home && home <= i : hole < home || home <= i;
            if (stays) continue;
            table_[hole] = table_[i];
            table_[i] = none;
            hole = i;
        }
        if (table_.size() > size_min && count_ * 8 < table_.size()) resize(table_.size() / 2);
    }
    std::size_t size() const { return count_; }

  private:
    static constexpr std::size_t size_min = 16;

    std::size_t home_of(std::string_view name) const { return keyed_hash(key_, name) & (table_.size() - 1); }
    std::size_t next(std::size_t place) const { return (place + 1) & (table_.size() - 1); }
    /// Where it is, or the free place where it belongs.
    std::size_t place_of(std::string_view name) const {
        std::size_t place = home_of(name);
        while (table_[place] != none && name_of_(table_[place]) != name) place = next(place);
        return place;
    }
    void resize(std::size_t size) {
        std::vector<core::SubscriberId> old(size, none);
        old.swap(table_);
        for (const core::SubscriberId id : old)
            if (id != none) table_[place_of(name_of_(id))] = id;
    }

    NameOf name_of_;
    HashKey key_ = HashKey::random();
    std::vector<core::SubscriberId> table_;  ///< a power of two of them, at most three quarters in use
    std::size_t count_ = 0;
};

}  // namespace sluice::shard
