#include "app/memory_budget.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::app {
namespace {

namespace fs = std::filesystem;

class MemoryBudget : public testing::Test {
  protected:
    MemoryBudget() { fs::create_directories(root_ / "a.slice/b.service"); }
    ~MemoryBudget() override { fs::remove_all(root_); }
    std::uint64_t available(const std::string& self) {
        write("self", self);
        return memory_available(root_, root_ / "self");
    }
    void write(const std::string& file, const std::string& text) { std::ofstream(root_ / file) << text; }

    fs::path root_ = fs::temp_directory_path() / ("sluice-memory-budget-" + std::to_string(::getpid()));
};

const auto machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                     static_cast<std::uint64_t>(::sysconf(_SC_PAGE_SIZE));

TEST_F(MemoryBudget, IsTheMachinesWithoutAGroup) {
    EXPECT_EQ(available(""), machine);
    write("a.slice/b.service/memory.max", "max\n");
    EXPECT_EQ(available("0::/a.slice/b.service\n"), machine);
}

TEST_F(MemoryBudget, IsWhatTheTightestGroupAllows) {
    write("a.slice/memory.max", "50000000\n");
    write("a.slice/b.service/memory.max", "60000000\n");
    EXPECT_EQ(available("1:name=old:/x\n0::/a.slice/b.service\n"), 50000000U);
    write("a.slice/b.service/memory.high", "40000000\n");
    EXPECT_EQ(available("0::/a.slice/b.service\n"), 40000000U);
    EXPECT_EQ(available("0::/\n"), machine);
    write("memory.max", "30000000\n");
    EXPECT_EQ(available("0::/\n"), 30000000U);
    EXPECT_EQ(available("0::/../../elsewhere\n"), 30000000U);
}

TEST_F(MemoryBudget, IsWhatAGroupOfVersion1Allows) {
    fs::create_directories(root_ / "memory/a.slice/b.service");
    write("memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_EQ(available("4:memory:/a.slice/b.service\n0::/\n"), machine);
    write("memory/a.slice/memory.limit_in_bytes", "67108864\n");
    EXPECT_EQ(available("9:name=systemd:/\n4:memory:/a.slice/b.service\n0::/\n"), 67108864U);
    EXPECT_EQ(available("4:cpu,memory:/a.slice\n"), 67108864U);
    EXPECT_EQ(available("4:name=memory:/a.slice\n4:memory:/\n"), machine);
    write("memory/a.slice/b.service/memory.limit_in_bytes", "33554432\n");
    EXPECT_EQ(available("4:memory:/a.slice/b.service\n"), 33554432U);
    EXPECT_EQ(available("4:memory:/../b.service\nno line at all\n"), machine);
}

TEST(MemoryDefault, LeavesRoomForTheBrokerItself) {
    constexpr std::uint64_t mib = 1 << 20;
    EXPECT_EQ(default_memory_max(64 * mib), 24 * mib);
    EXPECT_EQ(default_memory_max(1024 * mib), 504 * mib);
    EXPECT_EQ(default_memory_max(32 * mib), 8 * mib);
    EXPECT_EQ(default_memory_max(16 * mib), 4 * mib);
}

}  // namespace
}  // namespace sluice::app
