#pragma once
/// `[durability]`, `[store]`, and what the store needs of `[broker]`.
#include <chrono>
#include <cstdint>
#include <string>

#include "base/settings.hpp"

namespace sluice::store {

/// commit: an acknowledgement leaves after the fsync. interval: it leaves at once, fsync every `window`.
/// memory: nothing is kept.
enum class DurabilityMode : std::uint8_t { commit, interval, memory };

struct DurabilitySettings {
    DurabilityMode mode = DurabilityMode::commit;
    std::chrono::milliseconds window{20};  ///< group commit: the longest wait under a trickle
    bool operator==(const DurabilitySettings&) const = default;
};
std::span<const SettingRow> durability_rows();

/// How much of the disk. At either limit acknowledgements wait until queues are drained.
struct DiskSettings {
    std::uint64_t bytes_max = 4ULL << 30;  ///< of the store file; its log takes some megabytes more
    std::uint64_t free_min = 32ULL << 20;  ///< left to others on the file system
    bool operator==(const DiskSettings&) const = default;
};
std::span<const SettingRow> store_rows();

/// All that a store is made of.
struct StoreSettings {
    std::string data_dir;  ///< made with mode 0700 when it is missing
    DurabilitySettings durability;
    DiskSettings disk;
    /// A file of this size is kept beside the store and given up when the disk is full, so that a full store
    /// can still be drained: room for the log to be written back, and for one group. 0: none.
    std::uint64_t reserve_bytes = 8ULL << 20;
    std::size_t group_messages_max = 256;         ///< a group with so many messages commits at once
    std::size_t group_bytes_max = 1 << 20;        ///< likewise, message bodies
    std::chrono::milliseconds retry_pause{1000};  ///< between attempts while the disk refuses
};

}  // namespace sluice::store
