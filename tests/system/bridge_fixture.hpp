#pragma once
/// A broker with bridges that write files, which need no upstream but a folder, and the operator's commands.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/bridge_watch.hpp"
#include "tests/system/mqtt_client.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {

class BridgeFixture : public ::testing::Test {
  protected:
    using json = nlohmann::json;
    using Words = std::vector<std::string>;

    /// All but the bridges.
    std::string head(int threads = 2) const { return local_broker(folder_.path(), threads); }
    /// `more`: further keys and tables of the bridge; its routes follow.
    std::string file_bridge(const std::string& name, const std::string& more = {}) const {
        return fmt::format("[[bridge]]\nname = \"{}\"\ntype = \"file\"\ndirectory = \"{}\"\n{}\n", name,
                           files_of(name).string(), more);
    }
    static std::string route(const std::string& from, const std::string& more = {}) {
        return fmt::format("[[bridge.route]]\nfrom = \"{}\"\n{}\n", from, more);
    }
    std::filesystem::path files_of(const std::string& name) const { return folder_.path() / name; }
    /// While its folder is not there the upstream of a bridge is down. It looks every few seconds.
    void upstream_up(const std::string& name) const { std::filesystem::create_directory(files_of(name)); }

    /// To the end of the reload; its log.
    std::string reload(const std::string& config) {
        broker_.write_config(config);
        const std::size_t before = count_in_log(reloaded);
        broker_.signal(SIGHUP);
        EXPECT_TRUE(eventually([&] { return count_in_log(reloaded) > before; })) << broker_.log();
        return broker_.log();
    }
    std::size_t count_in_log(std::string_view text) const {
        const std::string log = broker_.log();
        std::size_t count = 0;
        for (auto at = log.find(text); at != log.npos; at = log.find(text, at + 1)) ++count;
        return count;
    }
    std::string url(const std::string& path = {}) const {
        return fmt::format("http://127.0.0.1:{}{}", broker_.admin_port(), path);
    }
    CommandResult ctl(Words words) const {
        const Words head{program("sluicectl"), "--url", url()};
        words.insert(words.begin(), head.begin(), head.end());
        return run_command(words);
    }
    /// With --json, when it succeeds.
    json asked(Words words) const {
        words.emplace_back("--json");
        const CommandResult result = ctl(words);
        EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
        return json::parse(result.out, nullptr, false);
    }
    json status(const std::string& name) const {
        const auto answer = run_command({"curl", "-s", url("/api/v1/bridges/" + name)});
        const json parsed = json::parse(answer.out, nullptr, false);
        return parsed.is_object() ? parsed : json::object();
    }
    static bool eventually(const std::function<bool()>& done,
                           std::chrono::seconds longest = std::chrono::seconds(60)) {
        const auto deadline = std::chrono::steady_clock::now() + longest;
        while (!done()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return true;
    }
    bool reaches(const std::string& name, const std::string& key, const json& value) const {
        return eventually([&] { return status(name).value(key, json()) == value; });
    }
    std::string told(const std::string& name) const { return status(name).dump() + "\n" + broker_.log(); }

    /// QoS 1, answered.
    void publish(const std::string& topic, const std::string& payload,
                 wire::ReasonCode expected = wire::ReasonCode::success) {
        if (!client_.connected()) {
            ASSERT_TRUE(client_.connect(broker_.port(), {.client_id = "pump"}));
        }
        client_.publish(topic, payload, wire::QoS::at_least_once, next_id());
        const auto answer = client_.receive();
        ASSERT_TRUE(answer) << topic << ' ' << broker_.log();
        EXPECT_EQ(answer->code, expected) << topic << ' ' << payload;
    }
    wire::PacketId next_id() {
        if (++last_id_ == 0) ++last_id_;
        return last_id_;
    }
    /// Of all lines in the files of a bridge, in their order.
    std::vector<json> lines(const std::string& name, const std::string& file = "messages") const {
        std::vector<json> all;
        std::ifstream in(files_of(name) / (file + ".ndjson"), std::ios::binary);
        for (std::string text; std::getline(in, text);) {
            json line = json::parse(text, nullptr, false);
            if (line.is_object()) all.push_back(std::move(line));
        }
        return all;
    }
    std::vector<std::string> payloads(const std::string& name, const std::string& file = "messages") const {
        std::vector<std::string> all;
        for (const json& line : lines(name, file)) {
            const json& payload = line.at("payload");
            all.push_back(payload.is_string() ? payload.get<std::string>() : payload.dump());
        }
        return all;
    }
    bool has_payloads(const std::string& name, const std::vector<std::string>& expected,
                      const std::string& file = "messages") const {
        return eventually([&] { return payloads(name, file) == expected; });
    }
    bool has_payload(const std::string& name, const std::string& expected,
                     const std::string& file = "messages") const {
        return eventually([&] {
            const auto all = payloads(name, file);
            return std::find(all.begin(), all.end(), expected) != all.end();
        });
    }
    /// Of all dead letters.
    std::vector<std::string> dead_ids(const std::string& name) const {
        std::vector<std::string> ids;
        const json answer = asked({"dead", "list", name});
        for (const json& letter : answer.at("dead")) ids.push_back(letter.at("id"));
        return ids;
    }

    static constexpr std::string_view reloaded = "bridges were read again";
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
    MqttClient client_;
    wire::PacketId last_id_ = 0;
};

}  // namespace sluice::test
