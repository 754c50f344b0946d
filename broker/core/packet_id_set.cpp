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
    if (!ids_) return false;
    const auto& words = ids_->words;
    if (ids_->is_bitmap()) return (words[id / 16U] & bit_of(id)) != 0;
    return std::binary_search(words.begin(), words.end(), id);
}

bool PacketIdSet::insert(PacketId id) {
    if (!ids_) ids_ = std::make_unique<Ids>();
    auto& words = ids_->words;
    if (!ids_->is_bitmap() && ids_->count == list_max) {
        std::vector<std::uint16_t> bitmap(bitmap_words);
        for (const PacketId each : words) bitmap[each / 16U] |= bit_of(each);
        words.swap(bitmap);
    }
    if (ids_->is_bitmap()) {
        if (contains(id)) return false;
        words[id / 16U] |= bit_of(id);
    } else {
        const auto at = std::lower_bound(words.begin(), words.end(), id);
        if (at != words.end() && *at == id) return false;
        words.insert(at, id);
    }
    ++ids_->count;
    return true;
}

bool PacketIdSet::erase(PacketId id) {
    if (!ids_) return false;
    auto& words = ids_->words;
    if (!ids_->is_bitmap()) {
        const auto at = std::lower_bound(words.begin(), words.end(), id);
        if (at == words.end() || *at != id) return false;
        words.erase(at);
        if (--ids_->count == 0) std::vector<std::uint16_t>().swap(words);
        return true;
    }
    if (!contains(id)) return false;
    words[id / 16U] &= static_cast<std::uint16_t>(~bit_of(id));
    if (--ids_->count <= list_again) words = ids();
    return true;
}

std::vector<PacketId> PacketIdSet::ids() const {
    if (!ids_) return {};
    const auto& words = ids_->words;
    if (!ids_->is_bitmap()) return words;
    std::vector<PacketId> out;
    out.reserve(ids_->count);
    for (std::size_t word = 0; word < words.size(); ++word) {
        for (unsigned bit = 0; bit < 16; ++bit) {
            if ((words[word] & (1U << bit)) != 0) out.push_back(static_cast<PacketId>(word * 16 + bit));
        }
    }
    return out;
}

}  // namespace sluice::core
