#pragma once
/// What the tests of the file connector share: a folder for each.
#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/contract/connector_fixture.hpp"
#include "tests/contract/file_peer.hpp"

namespace sluice::bridge::test {

using nlohmann::json;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

inline constexpr std::string_view good_line = R"({"payload_encoding":"text","payload":"n 0"})"
                                              "\n";

class FileConnector : public ConnectorFixture {
  protected:
    void SetUp() override {
        if (!use("file")) GTEST_SKIP() << why_;
        folder_ = std::filesystem::path(peer_->address()) / place_;
        std::filesystem::create_directory(folder_);
        settings_.bridge("directory", folder_.string());
    }
    Confirm confirm_of(std::uint64_t tag) {
        return feeder_.read([&] { return feeder_.confirmed_.at({0, tag}); });
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        return created.ok() ? "" : created.error();
    }
    bool wait_down_with(const std::string& part) {
        return feeder_.wait(
            [&] { return !feeder_.downs_.empty() && feeder_.downs_.back().find(part) != std::string::npos; });
    }
    static bool wait_for(const std::function<bool()>& condition) {
        for (const auto deadline = Steady::now() + std::chrono::seconds(30); Steady::now() < deadline;) {
            if (condition()) return true;
            std::this_thread::sleep_for(milliseconds(10));
        }
        return false;
    }
    void publish_numbers(int from, int to, std::size_t bytes = 0) {
        for (int i = from; i < to; ++i)
            feeder_.publish_text(0, "plant/a", "n " + std::to_string(i) + std::string(bytes, ' '));
    }
    /// Of all lines, in their order.
    std::vector<int> numbers(const std::string& base = "messages") const {
        std::vector<int> result;
        for (const json& line : read_lines(folder_, base))
            result.push_back(line.is_object() ? std::stoi(payload_of(line).substr(2)) : -1);
        return result;
    }
    static std::vector<int> range(int from, int to) {
        std::vector<int> result;
        for (int i = from; i < to; ++i) result.push_back(i);
        return result;
    }
    std::filesystem::path active() const { return folder_ / "messages.ndjson"; }
    std::vector<std::string> names() const {
        std::vector<std::string> result;
        for (const auto& entry : std::filesystem::directory_iterator(folder_))
            result.push_back(entry.path().filename().string());
        std::sort(result.begin(), result.end());
        return result;
    }
    void put_file(const std::filesystem::path& path, std::string_view content) {
        std::ofstream(path, std::ios::binary) << content;
    }

    std::filesystem::path folder_;
};

}  // namespace sluice::bridge::test
