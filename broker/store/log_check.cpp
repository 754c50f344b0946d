#include "store/log_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <fstream>
#include <vector>

#include "base/bytes.hpp"

namespace sluice::store {
namespace {

constexpr std::size_t header_bytes = 32, frame_header_bytes = 24;
/// With the lowest bit set the checksums are of big-endian words.
constexpr std::uint32_t magic = 0x377f0682;
constexpr std::uint32_t page_bytes_max = 65536;

std::uint32_t big_endian(const std::uint8_t* at) {
    return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}
std::uint32_t little_endian(const std::uint8_t* at) {
    return std::uint32_t{at[3]} << 24 | std::uint32_t{at[2]} << 16 | std::uint32_t{at[1]} << 8 | at[0];
}

/// The checksum of all that it was fed.
class Checksum {
  public:
    explicit Checksum(bool big) : big_(big) {}
    void feed(const std::uint8_t* at, std::size_t count) {
        for (std::size_t i = 0; i + 8 <= count; i += 8) {
            first_ += word(at + i) + second_;
            second_ += word(at + i + 4) + first_;
        }
    }
    bool is(const std::uint8_t* at) const {
        return big_endian(at) == first_ && big_endian(at + 4) == second_;
    }

  private:
    std::uint32_t word(const std::uint8_t* at) const { return big_ ? big_endian(at) : little_endian(at); }

    bool big_;
    std::uint32_t first_ = 0, second_ = 0;
};

bool read(std::ifstream& in, std::uint8_t* to, std::size_t count) {
    return static_cast<bool>(in.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(count)));
}

}  // namespace

std::string describe(const LogCheck& check, const std::string& path) {
    if (!check.damaged()) return {};
    if (!check.is_log) return path + " was damaged: it is not a log, what was in it is lost";
    return fmt::format("{} was damaged: of its last {} commits nothing could be read", path,
                       check.commits_behind_damage);
}

LogCheck check_log(const std::string& path) {
    LogCheck result;
    std::ifstream in(path, std::ios::binary);
    std::array<std::uint8_t, header_bytes> header{};
    if (!in || in.peek() == std::ifstream::traits_type::eof()) return result;
    result.is_log = read(in, header.data(), header.size()) && (big_endian(header.data()) & ~1U) == magic;
    const std::uint32_t page_bytes = big_endian(&header[8]);
    if (!result.is_log || page_bytes == 0 || page_bytes > page_bytes_max) {
        result.is_log = false;
        return result;
    }
    Checksum sum((header[3] & 1) != 0);
    sum.feed(header.data(), 24);
    bool holds = sum.is(&header[24]);
    std::vector<std::uint8_t> frame(frame_header_bytes + page_bytes);
    // What a log that began anew has not overwritten yet has other salts.
    while (read(in, frame.data(), frame.size()) && std::equal(&frame[8], &frame[16], &header[16])) {
        sum.feed(frame.data(), 8);
        sum.feed(&frame[frame_header_bytes], page_bytes);
        holds = holds && sum.is(&frame[16]);
        const bool commits = big_endian(&frame[4]) != 0;
        if (!holds && commits) ++result.commits_behind_damage;
    }
    return result;
}

}  // namespace sluice::store
