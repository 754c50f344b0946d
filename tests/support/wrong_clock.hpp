#pragma once
/// WrongClock: what is started while it lives has a wall clock that can be set.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::test {

class WrongClock {
  public:
    /// `layer`: the built clock_layer.so. Its file stands in `folder`.
    WrongClock(const std::filesystem::path& folder, const char* layer, std::chrono::milliseconds offset)
        : path_((folder / "clock-offset").string()) {
        std::ofstream(path_) << std::string(sizeof(std::int64_t), '\0');
        set(offset);
        ::setenv("SLUICE_CLOCK_FILE", path_.c_str(), 1);
        ::setenv("LD_PRELOAD", layer, 1);
    }
    ~WrongClock() {
        ::unsetenv("LD_PRELOAD");
        ::unsetenv("SLUICE_CLOCK_FILE");
    }
    WrongClock(const WrongClock&) = delete;
    WrongClock& operator=(const WrongClock&) = delete;

    /// How far the clock is off; negative: behind.
    void set(std::chrono::milliseconds offset) {
        const std::int64_t ms = offset.count();
        // In place: the file is mapped.
        std::fstream(path_, std::ios::in | std::ios::out | std::ios::binary)
            .write(reinterpret_cast<const char*>(&ms), sizeof ms);
    }

  private:
    const std::string path_;
};

}  // namespace sluice::test
