#pragma once
/// How a filter walks over topics that stand in byte order: which topic to look at first, and where to go on
/// after each. Pure text; RetainedIndex is its user.
#include <string>
#include <string_view>

namespace sluice::core {

enum class ScanStep {
    match,     ///< the topic matches; go on with the next one
    mismatch,  ///< it does not; go on with the next one
    seek,      ///< it does not, nor does anything before `target`; go on there
    end,       ///< it does not, nor does anything after it
};

/// Where to begin: no topic before this one matches.
std::string_view scan_begin(std::string_view filter);

/// Judges one topic; `target` is written for `seek` only. `filter` is valid, `topic` not before scan_begin.
ScanStep scan_step(std::string_view filter, std::string_view topic, std::string& target);

}  // namespace sluice::core
