#include "store/settings.hpp"

#include <array>

namespace sluice::store {
namespace {

constexpr std::string_view modes[] = {"commit", "interval", "memory"};

constexpr SettingRow rows[] = {
    {.key = "mode",
     .kind = SettingKind::choice,
     .default_text = "commit",
     .doc = "When an acknowledgement leaves: \"commit\" after the message is on disk, \"interval\" at once "
            "with a "
            "write to disk every `window`, \"memory\" at once and nothing is kept on disk.",
     .assign = bind_setting<&DurabilitySettings::mode>,
     .minimum = 0,
     .maximum = 2,
     .choices = modes},
    {.key = "window",
     .kind = SettingKind::duration,
     .default_text = "20ms",
     .doc =
         "Group commit: the longest that a message waits for others before both are written at once. Longer "
         "spares flash memory, shorter acknowledges sooner; a full group never waits.",
     .assign = bind_setting<&DurabilitySettings::window>,
     .minimum = 0,
     .maximum = 60000},
};

constexpr SettingRow disk_rows[] = {
    {.key = "bytes_max",
     .kind = SettingKind::size,
     .default_text = "4GiB",
     .doc = "The most that the store file may take; its log takes up to some megabytes more. At the limit "
            "acknowledgements wait until queues have been drained.",
     .assign = bind_setting<&DiskSettings::bytes_max>,
     .minimum = 1 << 20,
     .maximum = std::int64_t{1} << 42},
    {.key = "free_min",
     .kind = SettingKind::size,
     .default_text = "32MiB",
     .doc =
         "What is left to others on the file system of `data_dir`. With less than this free publishers wait; "
         "what they had sent before may take up to half of it, then the store file does not grow.",
     .assign = bind_setting<&DiskSettings::free_min>,
     .minimum = 0,
     .maximum = std::int64_t{1} << 42},
};

}  // namespace

std::span<const SettingRow> durability_rows() {
    return rows;
}

std::span<const SettingRow> store_rows() {
    return disk_rows;
}

}  // namespace sluice::store
