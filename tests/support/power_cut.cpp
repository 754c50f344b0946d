#include "tests/support/power_cut.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace sluice::test {
namespace {

constexpr std::size_t sector = 512;

struct Entry {
    UnsyncedWrite head;
    std::string before, after;
};

std::vector<Entry> read_log(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(in), {}};
    std::vector<Entry> entries;
    for (std::size_t at = 0; at + sizeof(UnsyncedWrite) <= all.size();) {
        Entry entry;
        std::memcpy(&entry.head, all.data() + at, sizeof entry.head);
        at += sizeof entry.head;
        entry.before = all.substr(std::min(at, all.size()), entry.head.before_bytes);
        at += entry.head.before_bytes;
        entry.after = all.substr(std::min(at, all.size()), entry.head.after_bytes);
        at += entry.head.after_bytes;
        if (at > all.size()) break;  // killed in the middle of this one, before the write itself
        entries.push_back(std::move(entry));
    }
    return entries;
}

void write_at(const std::filesystem::path& path, std::uint64_t offset, std::string_view bytes) {
    std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(offset));
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void take_back(const std::filesystem::path& path, const Entry& entry) {
    write_at(path, entry.head.offset, entry.before);
    std::filesystem::resize_file(path, entry.head.size_before);
}

}  // namespace

PowerCut::PowerCut(std::filesystem::path data, std::filesystem::path log)
    : data_(std::move(data)), log_(std::move(log)) {
    std::filesystem::create_directories(log_);
    ::setenv("LD_PRELOAD", SLUICE_BINARY_DIR "/tests/power_cut_layer.so", 1);
    ::setenv("SLUICE_POWER_CUT_DATA", data_.c_str(), 1);
    ::setenv("SLUICE_POWER_CUT_LOG", log_.c_str(), 1);
}

PowerCut::~PowerCut() {
    for (const char* name : {"LD_PRELOAD", "SLUICE_POWER_CUT_DATA", "SLUICE_POWER_CUT_LOG"}) ::unsetenv(name);
}

std::size_t PowerCut::lose_unsynced(std::mt19937& random) {
    std::size_t count = 0;
    for (const auto& log : std::filesystem::directory_iterator(log_)) {
        const auto path = data_ / log.path().filename();
        const std::vector<Entry> entries = read_log(log.path());
        std::filesystem::resize_file(log.path(), 0);
        if (!std::filesystem::exists(path)) continue;
        count += entries.size();
        for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) take_back(path, *entry);
        for (const Entry& entry : entries) {
            const auto fate = random() % 4;
            if (fate < 2) continue;
            if (entry.head.truncates != 0) {
                std::filesystem::resize_file(path, entry.head.offset);
                continue;
            }
            const std::size_t sectors = entry.after.size() / sector;
            const bool torn = fate == 2 && sectors > 1;
            const std::size_t bytes = torn ? random() % sectors * sector : entry.after.size();
            write_at(path, entry.head.offset, std::string_view(entry.after).substr(0, bytes));
        }
    }
    return count;
}

}  // namespace sluice::test
