#pragma once
/// Feeder: plays the bridge's part against a connector: offers, offers again after on_up, counts what was
/// confirmed.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/connector.hpp"

namespace sluice::bridge::test {

class Feeder final : public ConnectorEvents {
  public:
    using Key = std::pair<std::uint32_t, std::uint64_t>;  ///< lane, tag

    /// Before start().
    void attach(Connector& connector) { connector_ = &connector; }

    void publish(std::uint32_t lane, const core::Message::Fields& fields) {
        publish(lane, 0, core::Message::freeze(fields));
    }
    void publish(std::uint32_t lane, std::uint32_t route, core::MessagePtr message) {
        const std::lock_guard lock(mutex_);
        ++last_tag_;
        pending_.push_back({lane, route, last_tag_, false, last_tag_, std::move(message)});
        if (epoch_ != 0) connector_->offer(epoch_, {pending_.back()});
    }
    /// One message with this topic and payload, as most tests want it.
    void publish_text(std::uint32_t lane, const std::string& topic, const std::string& payload) {
        const std::string client_id = "device-" + std::to_string(lane);
        core::Message::Fields fields;
        fields.topic = topic;
        fields.payload = as_bytes(payload);
        fields.qos = wire::QoS::at_least_once;
        fields.client_id = client_id;
        fields.received = now();
        publish(lane, fields);
    }
    static WallTime now() { return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now()); }

    /// Waits for a condition over what is below; false when time is up.
    bool wait(const std::function<bool()>& condition,
              std::chrono::milliseconds timeout = std::chrono::seconds(60)) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, timeout, condition);
    }
    bool wait_up() {
        return wait([this] { return epoch_ != 0; });
    }
    bool wait_down(std::size_t more_than = 0) {
        return wait([this, more_than] { return downs_.size() > more_than; });
    }
    bool wait_confirmed(std::size_t count) {
        return wait([this, count] { return confirmed_.size() >= count; });
    }

    bool wait_incoming(std::size_t count) {
        return wait([this, count] { return incoming_.size() >= count; });
    }
    /// The down direction receives.
    bool wait_source() {
        return wait([this] { return !sources_.empty() && sources_.back().empty(); });
    }

    template <class F>
    auto read(F&& f) {
        const std::lock_guard lock(mutex_);
        return f();
    }

    void on_up(std::uint64_t epoch) override {
        const std::lock_guard lock(mutex_);
        epoch_ = epoch;
        ++ups_;
        ++events_;
        for (auto& out : pending_) out.redelivery = true;
        connector_->offer(epoch, {pending_.begin(), pending_.end()});
        changed_.notify_all();
    }
    void on_down(const std::string& reason) override {
        const std::lock_guard lock(mutex_);
        epoch_ = 0;
        ++events_;
        downs_.push_back(reason);
        changed_.notify_all();
    }
    void on_confirm(std::span<const Confirm> confirms) override {
        const std::lock_guard lock(mutex_);
        ++events_;
        for (const auto& confirm : confirms) {
            confirmed_[{confirm.lane, confirm.tag}] = confirm;
            for (auto it = pending_.begin(); it != pending_.end(); ++it) {
                if (it->lane != confirm.lane || it->tag != confirm.tag) continue;
                pending_.erase(it);
                break;
            }
        }
        changed_.notify_all();
    }
    void on_stalled(const std::string& reason) override {
        const std::lock_guard lock(mutex_);
        ++events_;
        stalls_.push_back(reason);
        changed_.notify_all();
    }
    void on_retried(std::uint64_t count) override {
        const std::lock_guard lock(mutex_);
        ++events_;
        retried_ += count;
        changed_.notify_all();
    }

    void on_incoming(std::vector<Incoming> messages) override {
        const std::lock_guard lock(mutex_);
        ++events_;
        for (auto& message : messages) incoming_.push_back(std::move(message));
        changed_.notify_all();
    }
    void on_source(const std::string& problem) override {
        const std::lock_guard lock(mutex_);
        ++events_;
        sources_.push_back(problem);
        changed_.notify_all();
    }

    // Read in wait() and read() only, while other threads run.
    std::map<Key, Confirm> confirmed_;
    std::vector<std::string> downs_, stalls_;
    std::deque<Outgoing> pending_;    ///< unconfirmed, by age
    std::vector<Incoming> incoming_;  ///< all that has come down
    std::vector<std::string> sources_;
    std::uint64_t epoch_ = 0;  ///< 0 while down
    std::size_t ups_ = 0;
    std::uint64_t retried_ = 0;
    std::size_t events_ = 0;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    Connector* connector_ = nullptr;
    std::uint64_t last_tag_ = 0;
};

}  // namespace sluice::bridge::test
