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

}  // namespace
}  // namespace sluice::app
