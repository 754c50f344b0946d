#pragma once
/// What the security suites of the connectors share: an eye on everything that is said.
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "tests/contract/certificates.hpp"
#include "tests/contract/connector_fixture.hpp"

namespace sluice::bridge::test {

inline void write_file(const std::string& path, const std::string& content) {
    const std::string fresh = path + ".new";
    std::ofstream(fresh) << content;
    std::filesystem::rename(fresh, path);
}

/// Every secret in these tests has this in it; nothing that is said may.
constexpr const char* secret_mark = "hunter2";

class SecurityFixture : public ConnectorFixture {
  protected:
    bool use_quietly(const std::string& type) {
        if (!use(type)) return false;
        settings_.module->set_log_sink(&keep_line);
        const std::lock_guard lock(lines_mutex());
        lines().clear();
        return true;
    }
    void TearDown() override {
        ConnectorFixture::TearDown();
        const std::lock_guard lock(lines_mutex());
        for (const auto& line : lines()) expect_no_secret(line);
        for (const auto& line : feeder_.downs_) expect_no_secret(line);
        for (const auto& line : feeder_.stalls_) expect_no_secret(line);
        for (const auto& line : feeder_.sources_) expect_no_secret(line);
    }
    void expect_no_secret(const std::string& line) {
        EXPECT_EQ(line.find(secret_mark), std::string::npos) << line;
        for (const auto& secret : secrets_) EXPECT_EQ(line.find(secret), std::string::npos) << line;
    }
    /// How much has been said so far: that the eye is open.
    static std::size_t lines_said() {
        const std::lock_guard lock(lines_mutex());
        return lines().size();
    }
    std::string create_error() {
        const auto created = settings_.module->create(settings_.spec);
        if (created.ok()) return {};
        expect_no_secret(created.error());
        return created.error();
    }
    /// Starts, and expects that the upstream does not let us in, with these words.
    void expect_down(const std::string& words) {
        start();
        ASSERT_TRUE(feeder_.wait_down());
        EXPECT_NE(last_down().find(words), std::string::npos) << last_down();
        EXPECT_EQ(feeder_.read([&] { return feeder_.ups_; }), 0U);
    }
    void expect_delivery() {
        start();
        ASSERT_TRUE(feeder_.wait([&] { return feeder_.epoch_ != 0; }, std::chrono::seconds(20)))
            << last_down();
        feeder_.publish_text(0, "plant/a", "x");
        ASSERT_TRUE(feeder_.wait_confirmed(1)) << last_down();
        EXPECT_EQ(peer_->receive(place_, 1).size(), 1U);
    }

    std::vector<std::string> secrets_;  ///< beside those with the mark

  private:
    static std::mutex& lines_mutex() {
        static std::mutex mutex;
        return mutex;
    }
    static std::vector<std::string>& lines() {
        static std::vector<std::string> all;
        return all;
    }
    static void keep_line(log::Level, std::string_view line) {
        const std::lock_guard lock(lines_mutex());
        lines().emplace_back(line);
    }
};

}  // namespace sluice::bridge::test
