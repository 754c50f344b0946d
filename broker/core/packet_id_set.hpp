#pragma once
/// PacketIdSet: packet identifiers, of which there may be none or 65535. One pointer while there never were
/// any, and little behind it when there are none any more; few stand in a sorted list, many in a bitmap of 8
/// KiB, so that whoever leaves very many open makes no look-up dear.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "wire/packets.hpp"

namespace sluice::core {

class PacketIdSet {
  public:
    PacketIdSet() = default;
    PacketIdSet(PacketIdSet&&) noexcept = default;
    PacketIdSet& operator=(PacketIdSet&&) noexcept = default;
    PacketIdSet(const PacketIdSet& other) { *this = other; }
    PacketIdSet& operator=(const PacketIdSet& other) {
        if (this != &other) ids_ = other.empty() ? nullptr : std::make_unique<Ids>(*other.ids_);
        return *this;
    }

    /// False when it is there already.
    bool insert(wire::PacketId id);
    /// Whether it was there.
    bool erase(wire::PacketId id);
    bool contains(wire::PacketId id) const;
    std::size_t size() const { return ids_ ? ids_->count : 0; }
    bool empty() const { return size() == 0; }
    /// In rising order.
    std::vector<wire::PacketId> ids() const;
    std::size_t footprint_bytes() const { return ids_ ? ids_->words.capacity() * sizeof(std::uint16_t) : 0; }

  private:
    static constexpr std::size_t bitmap_words = 65536 / 16;
    /// A list of so many is searched and moved within a cache line's time or ten; a bitmap becomes a list
    /// again well below.
    static constexpr std::size_t list_max = 256;
    static constexpr std::size_t list_again = list_max / 4;

    struct Ids {
        std::vector<std::uint16_t> words;  ///< the ids, or their bitmap
        std::size_t count = 0;
        bool is_bitmap() const { return words.size() == bitmap_words; }
    };

    std::unique_ptr<Ids> ids_;
};

}  // namespace sluice::core
