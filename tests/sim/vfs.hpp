#pragma once
/// SQLite's interface to the Disk.

namespace sluice::sim {

/// As the default file system of the process. Once.
void register_vfs();

}  // namespace sluice::sim
