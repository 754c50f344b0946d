#pragma once
/// A small file of the broker's own in `data_dir`.
#include <string>

namespace sluice::app {

/// Writes `text` to `path`: whole and on disk, or what was there before stays. 0, or an errno.
int write_small_file(const std::string& path, const std::string& text);

}  // namespace sluice::app
