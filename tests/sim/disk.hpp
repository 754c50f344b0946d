#pragma once
/// Disk: SQLite's file system in memory. It knows of each file what is safe (fsynced) and what was only
/// written, and loses of the latter whatever it likes when the power goes. One disk per process: SQLite
/// finds it as the default one.
///
/// A kill -9 keeps what was written. A power cut keeps any subset of the unsynced sectors, so that writes
/// are lost, torn and out of order; a file that was made or deleted since may be there or not. After an
/// fsync that failed, what it should have written counts as clean and may still be lost, as on Linux.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/random.hpp"

namespace sluice::sim {

enum class Fault : std::uint8_t { none, no_space, io_error };

class Disk {
  public:
    static Disk& get();

    /// Empty and healthy.
    void reset(std::uint64_t seed);
    void set_fault(Fault fault) { fault_ = fault; }
    Fault fault() const { return fault_; }
    /// The process ends in the middle of the n-th step (write, truncate, sync, delete) from now; 0: now.
    /// Nothing that it does after that reaches the disk.
    void die_after(std::uint64_t steps) {
        dies_after_ = steps;
        dead_ = steps == 0;
    }
    bool dead() const { return dead_; }
    /// The next process may use it; all files are closed.
    void revive();
    void cut_power();
    /// For a test of the simulation itself: fsync says yes and does nothing.
    void ignore_syncs() { ignores_syncs_ = true; }
    std::uint64_t steps() const { return steps_; }

    struct Unsynced {
        std::size_t at = 0;
        std::vector<std::uint8_t> bytes;
        bool truncate = false;  ///< to `at`
    };
    struct File {
        std::vector<std::uint8_t> now;   ///< as the process sees it
        std::vector<std::uint8_t> safe;  ///< what no power cut takes
        std::vector<Unsynced> unsynced;  ///< leads from `safe` to `now`
        bool there = false;
        bool safely_there = false;
        bool lost = false;  ///< some of `now` is in neither of the two
    };

    // For the file system's functions.
    File* open(const std::string& path, bool create);
    int write(File& file, const void* bytes, std::size_t size, std::size_t at);
    int truncate(File& file, std::size_t size);
    int sync(File& file);
    int remove(const std::string& path, bool sync_dir);
    bool exists(const std::string& path) const;
    Random& random() { return random_; }

  private:
    Disk();
    /// Counts a step; true when the process ends with this one.
    bool ends_here();
    bool refuses(bool grows, int& rc, int io_error);
    static void apply(std::vector<std::uint8_t>& to, const Unsynced& change);
    void cut_power(File& file);

    std::map<std::string, File> files_;
    Random random_{0};
    Fault fault_ = Fault::none;
    bool dead_ = false;
    bool ignores_syncs_ = false;
    std::uint64_t dies_after_ = 0;  ///< 0: not at all
    std::uint64_t steps_ = 0;
};

}  // namespace sluice::sim
