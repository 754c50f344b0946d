#pragma once
/// A broker with one bridge, and what its admin API says about that.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"

namespace sluice::test {

/// Settings without bridges: one listener on loopback, and an admin port.
inline std::string local_broker(const std::filesystem::path& folder, int threads = 2) {
    return fmt::format(R"([broker]
data_dir = "{}/data"
threads = {}
[[listener]]
address = "127.0.0.1"
port = 0
anonymous = true
[admin]
port = 0
)",
                       folder.string(), threads);
}

/// "STATUS BODY" from the admin port.
inline std::string admin_answer(const SluicedProcess& broker, const std::string& path) {
    const auto answer = run_command({"curl", "-s", "-w", "%{stderr}%{http_code}",
                                     fmt::format("http://127.0.0.1:{}{}", broker.admin_port(), path)});
    EXPECT_EQ(answer.exit_code, 0) << "is curl installed?";
    return answer.err + " " + answer.out;
}

inline nlohmann::json bridge_status(const SluicedProcess& broker) {
    const auto answer =
        run_command({"curl", "-s", fmt::format("http://127.0.0.1:{}/api/v1/bridges", broker.admin_port())});
    const auto parsed = nlohmann::json::parse(answer.out, nullptr, false);
    return parsed.is_object() ? parsed["bridges"][0] : nlohmann::json::object();
}

inline bool wait_for_bridge(const SluicedProcess& broker,
                            const std::function<bool(const nlohmann::json&)>& condition,
                            std::chrono::seconds longest = std::chrono::seconds(60)) {
    const auto deadline = std::chrono::steady_clock::now() + longest;
    while (!condition(bridge_status(broker))) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return true;
}

/// Until the bridge is connected, with nothing left to send.
inline bool wait_for_empty_spool(const SluicedProcess& broker) {
    return wait_for_bridge(broker, [](const nlohmann::json& status) {
        return status.value("state", "") == "connected" && status.value("spool_messages", 1) == 0;
    });
}

}  // namespace sluice::test
