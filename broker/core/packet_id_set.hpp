#pragma once
/// PacketIdSet: packet identifiers, of which there may be none or 65535. Nothing is allocated while there are
/// none; few stand in a sorted list, many in a bitmap of 8 KiB, so that whoever leaves very many open makes
/// no look-up dear.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "wire/packets.hpp"

namespace sluice::core {

class PacketIdSet {
  public:
    /// False when it is there already.
    bool insert(wire::PacketId id);
    /// Whether it was there.
    bool erase(wire::PacketId id);
    bool contains(wire::PacketId id) const;
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    /// In rising order.
    std::vector<wire::PacketId> ids() const;
    std::size_t footprint_bytes() const { return words_.capacity() * sizeof(std::uint16_t); }

  private:
    static constexpr std::size_t bitmap_words = 65536 / 16;
    /// A list of so many is searched and moved within a cache line's time or ten; a bitmap becomes a list
    /// again well below.
    static constexpr std::size_t list_max = 256;
    static constexpr std::size_t list_again = list_max / 4;

    bool is_bitmap() const { return words_.size() == bitmap_words; }

    std::vector<std::uint16_t> words_;  ///< the ids, or their bitmap
    std::size_t size_ = 0;
};

}  // namespace sluice::core
