#pragma once
/// Bridges under command, made up: notes what it was told, and answers as a test wants.
#include <condition_variable>
#include <mutex>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "shard/bridge_control.hpp"

namespace sluice::admin {

class FakeControl : public shard::BridgeControl {
  public:
    FakeControl() {
        shard::DeadLetter one;
        one.id = 17;
        one.bridge = "plant";
        one.route = "telemetry";
        one.reason = "too large\nfor it";
        one.refused = WallTime(Millis(1'767'225'600'123));  // 2026-01-01 00:00:00.123 UTC
        one.received = WallTime(Millis(1'767'225'599'000));
        one.topic = "plant/1/t";
        one.client_id = "sensor-1";
        one.user_name = "ann";
        one.qos = 1;
        one.retain = true;
        one.payload_bytes = 8;
        letters_ = {one, one};
        letters_[1].id = 0xfedcba9876543210;  // not to be kept by a double
    }

    Done<void> pause(const std::string& bridge) override { return order(fmt::format("pause {}", bridge)); }
    Done<void> resume(const std::string& bridge) override { return order(fmt::format("resume {}", bridge)); }
    Done<std::vector<shard::DeadLetter>> dead_letters(const std::string& bridge, std::uint64_t after,
                                                      std::size_t count_max) override {
        const auto done = order(fmt::format("dead {} {} {}", bridge, after, count_max));
        if (!done) return Err{done.error()};
        std::vector<shard::DeadLetter> found;
        for (const auto& letter : letters_)
            if (letter.id > after && found.size() < count_max) found.push_back(letter);
        return found;
    }
    Done<shard::DeadLetter> dead_letter(const std::string& bridge, std::uint64_t id) override {
        const auto done = order(fmt::format("letter {} {}", bridge, id));
        if (!done) return Err{done.error()};
        const std::lock_guard lock(mutex_);
        auto whole = letters_[0];
        whole.payload = payload_;
        whole.properties = {{"Content Type", "text/plain"}, {"Correlation Data", "\xff"}};
        return whole;
    }
    Done<std::size_t> retry_dead(const std::string& bridge, std::vector<std::uint64_t> ids) override {
        return count(fmt::format("retry {} [{}]", bridge, fmt::join(ids, " ")));
    }
    Done<std::size_t> drop_dead(const std::string& bridge, std::vector<std::uint64_t> ids) override {
        return count(fmt::format("drop {} [{}]", bridge, fmt::join(ids, " ")));
    }
    Done<std::vector<shard::LeftoverSpool>> leftovers() override {
        const auto done = order("leftovers");
        if (!done) return Err{done.error()};
        const std::lock_guard lock(mutex_);
        return spools_;
    }
    Done<std::size_t> forget(const std::string& bridge, const std::string& route) override {
        return count(fmt::format("forget {} [{}]", bridge, route));
    }

    /// What was told since the last time that this was asked.
    std::vector<std::string> told() {
        const std::lock_guard lock(mutex_);
        return std::exchange(told_, {});
    }
    void fail(std::optional<Error> error) {
        const std::lock_guard lock(mutex_);
        error_ = std::move(error);
    }
    void set_payload(std::string payload) {
        const std::lock_guard lock(mutex_);
        payload_ = std::move(payload);
    }
    void set_spools(std::vector<shard::LeftoverSpool> spools) {
        const std::lock_guard lock(mutex_);
        spools_ = std::move(spools);
    }
    /// From now on nothing ends before open().
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    void open() {
        const std::lock_guard lock(mutex_);
        closed_ = false;
        changed_.notify_all();
    }
    /// Until something has been told that does not end.
    void wait_until_it_waits() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waits_; });
    }

  private:
    Done<void> order(std::string what) {
        std::unique_lock lock(mutex_);
        told_.push_back(std::move(what));
        waits_ = true;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !closed_; });
        waits_ = false;
        if (error_) return Err{*error_};
        return {};
    }
    Done<std::size_t> count(std::string what) {
        const auto done = order(std::move(what));
        if (!done) return Err{done.error()};
        return std::size_t{2};
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool closed_ = false, waits_ = false;
    std::vector<std::string> told_;
    std::optional<Error> error_;
    std::string payload_ = "{\"a\": 1}";
    std::vector<shard::DeadLetter> letters_;
    std::vector<shard::LeftoverSpool> spools_{{"old", "", 6, 3 << 20}, {"plant", "alarms", 1, 10}};
};

}  // namespace sluice::admin
