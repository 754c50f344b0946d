#pragma once
/// Folder: the files of one bridge. Which line goes where, when a file is finished, and which is removed.
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "bridge/file/active_file.hpp"
#include "bridge/file/settings.hpp"

namespace sluice::bridge::file {

/// Names come from messages, so their number is bounded, and each has a descriptor: with one more the file
/// that was not used for the longest time is finished.
constexpr std::size_t active_files_max = 256;

/// The folder belongs to one Folder object at a time, of all processes. One thread.
class Folder {
  public:
    /// Takes over what an earlier life has left. `room_bytes`: there must be so much room for more.
    static Result<std::unique_ptr<Folder>, Problem> open(const FileSettings& settings, mode_t mode,
                                                         const std::string& bridge_name,
                                                         std::uint64_t room_bytes);

    /// `base` is legal. After an error the object is of no more use; its end takes back what is not synced.
    Result<void, Problem> append(const std::string& base, std::string_view line);
    /// All that was appended is on disk when this succeeds.
    Result<void, Problem> sync();
    /// Finishes what is old enough. Also an error when the folder is not there any more.
    Result<void, Problem> tick();
    /// When tick() has something to do.
    Steady::time_point wake_at() const;

  private:
    struct Finished {
        std::uint64_t number;
        std::string name;
        std::uint64_t bytes;
    };
    using ActiveFiles = std::map<std::string, std::unique_ptr<ActiveFile>, std::less<>>;

    Folder(const FileSettings& settings, mode_t mode, std::string bridge_name, int fd);
    Result<void, Problem> check_place() const;
    Result<void, Problem> check_room(std::uint64_t room_bytes) const;
    /// Reads which finished files there are; `bases` gets the others, the one changed last at the end.
    Result<void, Problem> scan(std::deque<std::string>* bases);
    Result<void, Problem> adopt(const std::deque<std::string>& bases);
    Result<ActiveFile*, Problem> file_of(const std::string& base);
    Result<void, Problem> finish(ActiveFiles::iterator at);
    Result<void, Problem> remove_surplus();
    bool has_surplus() const;
    Result<void, Problem> sync_names();
    std::string path_of(std::string_view name) const;

    const FileSettings settings_;
    const mode_t mode_;
    const std::string bridge_name_;
    const Descriptor fd_;
    ActiveFiles active_;             ///< by base
    std::deque<Finished> finished_;  ///< by number
    std::uint64_t finished_bytes_ = 0;
    std::uint64_t last_number_ = 0;
    bool names_changed_ = false;  ///< and the folder is not synced since
};

}  // namespace sluice::bridge::file
