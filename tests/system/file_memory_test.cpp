/// What the broker makes and a bridge module lets go leaves the broker's count of its memory.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/system/bridge_watch.hpp"
#include "tests/system/load_publisher.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t messages = 50'000;
constexpr std::int64_t slack_bytes = 1'000'000;  ///< 20 bytes a message; kept buffers are far less

class FileMemory : public ::testing::Test {
  protected:
    std::string config() const {
        std::filesystem::create_directory(folder_.path() / "files");
        return fmt::format(R"(
[broker]
data_dir = "{0}/data"
threads = 2
[admin]
address = "127.0.0.1"
port = 0
[[listener]]
address = "127.0.0.1"
port = 0
anonymous = true
[[bridge]]
name = "disk"
type = "file"
directory = "files"
[[bridge.route]]
from = "plant/#"
)",
                           folder_.path().string());
    }
    std::int64_t memory_bytes() const {
        const auto answer =
            run_command({"curl", "-s", fmt::format("http://127.0.0.1:{}/metrics", broker_.admin_port())});
        constexpr std::string_view name = "\nsluice_memory_bytes ";
        const auto at = answer.out.find(name);
        return at == std::string::npos ? -1 : std::atoll(answer.out.c_str() + at + name.size());
    }
    void send(std::uint64_t up_to) {
        const auto deadline = std::chrono::steady_clock::now() + 100s;
        while (publisher_.sent() < up_to && std::chrono::steady_clock::now() < deadline)
            publisher_.run(100ms, 20'000);
        ASSERT_GE(publisher_.sent(), up_to) << broker_.log();
        ASSERT_TRUE(publisher_.finish(MqttClient::patience)) << broker_.log();
        ASSERT_TRUE(wait_for_empty_spool(broker_)) << bridge_status(broker_).dump() << broker_.log();
    }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    LoadPublisher publisher_{"device", "plant/load", wire::QoS::at_least_once};
};

TEST_F(FileMemory, what_a_module_lets_go_is_no_longer_counted) {
    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    ASSERT_TRUE(publisher_.connect(broker_.port()));
    send(2'000);
    const auto before = memory_bytes();
    ASSERT_GT(before, 0);
    send(messages);
    EXPECT_GE(bridge_status(broker_).value("confirmed", std::uint64_t{0}), messages)
        << bridge_status(broker_).dump();
    const auto after = memory_bytes();
    fmt::print("sluice_memory_bytes before {} after {}\n", before, after);
    EXPECT_LT(std::abs(after - before), slack_bytes) << broker_.log();
    EXPECT_TRUE(broker_.stop()) << broker_.log();
}

/// Also of a module that no test here loads.
TEST(ModuleSymbols, modules_allocate_with_the_operators_of_the_process) {
    const auto of_broker = run_command({"nm", "-D", "--defined-only", SLUICE_BINARY_DIR "/bin/sluiced"});
    ASSERT_EQ(of_broker.exit_code, 0) << of_broker.err;
    for (const char* symbol : {" T _Znwm\n", " T _ZdlPv\n", " T _ZdlPvm\n", " T _ZnwmSt11align_val_t\n"})
        EXPECT_NE(of_broker.out.find(symbol), std::string::npos) << "not exported by sluiced:" << symbol;
    std::size_t modules = 0;
    for (const auto& entry : std::filesystem::directory_iterator(SLUICE_BINARY_DIR "/lib/sluice")) {
        if (entry.path().extension() != ".so") continue;
        ++modules;
        const auto all = run_command({"nm", entry.path().string()});
        ASSERT_EQ(all.exit_code, 0) << all.err;
        EXPECT_NE(all.out.find(" U _Znwm"), std::string::npos)
            << entry.path() << " does not ask for operator new";
        for (const char* own : {" t _Zn", " T _Zn", " W _Zn", " t _Zd", " T _Zd", " W _Zd"})
            for (const char* kind : {"wm", "am", "lPv", "aPv"})
                EXPECT_EQ(all.out.find(std::string(own) + kind), std::string::npos)
                    << entry.path() << " has an operator of its own:" << own << kind;
        EXPECT_EQ(all.out.find("memory_gauge"), std::string::npos)
            << entry.path() << " has a gauge of its own";
    }
    EXPECT_GE(modules, 1U);
}

}  // namespace
}  // namespace sluice::test
