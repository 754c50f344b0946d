#include "core/packet_id_set.hpp"

#include <algorithm>

namespace sluice::core {

using wire::PacketId;

namespace {

constexpr std::uint16_t bit_of(PacketId id) {
    return static_cast<std::uint16_t>(1U << (id % 16U));
}

}  // namespace

bool PacketIdSet::contains(PacketId id) const {
    if (is_bitmap()) return (words_[id / 16U] & bit_of(id)) != 0;
    return std::binary_search(words_.begin(), words_.end(), id);
}

bool PacketIdSet::insert(PacketId id) {
    if (!is_bitmap() && size_ == list_max) {
        std::vector<std::uint16_t> bitmap(bitmap_words);
        for (const PacketId each : words_) bitmap[each / 16U] |= bit_of(each);
        words_.swap(bitmap);
    }
    if (is_bitmap()) {
        if (contains(id)) return false;
        words_[id / 16U] |= bit_of(id);
    } else {
        const auto at = std::lower_bound(words_.begin(), words_.end(), id);
        if (at != words_.end() && *at == id) return false;
        words_.insert(at, id);
    }
    ++size_;
    return true;
}

bool PacketIdSet::erase(PacketId id) {
    if (!is_bitmap()) {
        const auto at = std::lower_bound(words_.begin(), words_.end(), id);
        if (at == words_.end() || *at != id) return false;
        words_.erase(at);
        if (--size_ == 0) std::vector<std::uint16_t>().swap(words_);
        return true;
    }
    if (!contains(id)) return false;
    words_[id / 16U] &= static_cast<std::uint16_t>(~bit_of(id));
    if (--size_ <= list_again) words_ = ids();
    return true;
}

std::vector<PacketId> PacketIdSet::ids() const {
    if (!is_bitmap()) return words_;
    std::vector<PacketId> out;
    out.reserve(size_);
    for (std::size_t word = 0; word < words_.size(); ++word) {
        for (unsigned bit = 0; bit < 16; ++bit) {
            if ((words_[word] & (1U << bit)) != 0) out.push_back(static_cast<PacketId>(word * 16 + bit));
        }
    }
    return out;
}

}  // namespace sluice::core
