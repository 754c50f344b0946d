#pragma once
/// One simulated device: an MQTT client with an outbox, a state topic, a will and commands.
///
/// Concurrency: step(), submit() and the closing calls belong to the fleet's thread; Paho's threads call the
/// listeners. Paho holds its own lock while it calls, so mutex_ is never held during a call into Paho.
///
/// Each connection has a Paho client of its own, because what Paho 1.3.12 sends again after a reconnect
/// cannot be trusted: it repeats the messages of all clients of the process for each one that comes back, and
/// some with a damaged payload (eclipse-paho/paho.mqtt.c issue 1592). A new client knows of no earlier
/// message; the outbox sends again what was not acknowledged.
#include <mqtt/async_client.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "firmware_sim/backoff.hpp"
#include "firmware_sim/options.hpp"
#include "firmware_sim/outbox.hpp"
#include "firmware_sim/tally.hpp"
#include "firmware_sim/telemetry.hpp"

namespace sluice::firmware {

class Device : private mqtt::callback {
  public:
    /// `options` and `tally` must outlive the device.
    Device(const Options& options, int number, MonoTime start, Tally& tally);
    ~Device() override = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    /// Connects when it is time, sends what waits.
    void step(Now now);

    /// Takes the simulated readings that are due; at most `count` in all when that is not 0.
    void measure(Now now);
    /// Takes one reading for sending; false when the outbox is full.
    bool submit(std::string_view members, WallTime time);

    std::uint64_t measured() const { return seq_; }
    bool idle() const;

    /// The orderly end, in steps so that a fleet ends together: tell `offline`, then disconnect.
    void say_goodbye();
    void disconnect(Millis patience);
    void await_disconnected(Millis patience);

  private:
    enum class Phase : std::uint8_t { disconnected, connecting, connected };

    struct Answer {
        std::string topic;
        std::string payload;
        std::string correlation;
    };

    /// Forwards Paho's outcome of a connection attempt.
    struct ConnectListener : mqtt::iaction_listener {
        explicit ConnectListener(Device& device) : device_(device) {}
        void on_success(const mqtt::token& token) override;
        void on_failure(const mqtt::token& token) override;
        Device& device_;
    };
    /// Forwards Paho's outcome of one sending; its context is the outbox's attempt.
    struct PublishListener : mqtt::iaction_listener {
        explicit PublishListener(Device& device) : device_(device) {}
        void on_success(const mqtt::token& token) override;
        void on_failure(const mqtt::token& token) override;
        Device& device_;
    };

    void connection_lost(const std::string& cause) override;
    void message_arrived(mqtt::const_message_ptr message) override;

    mqtt::connect_options connect_options(bool clean_start) const;
    mqtt::ssl_options ssl_options() const;
    std::string topic(std::string_view rest) const;
    void connect(bool clean_start);
    void greet();
    void send_answers();
    void send_waiting(MonoTime now);
    /// With mutex_ held.
    void note_lost(MonoTime now);
    std::string run_command(std::string_view command, const std::string& payload);
    void say(std::string_view text) const;
    static MonoTime mono_now() { return Now::read().mono; }

    const Options& options_;
    Tally& tally_;
    const std::string name_;
    SimulatedRoom room_;
    std::uint64_t seq_ = 0;  ///< of the last message
    MonoTime next_reading_;
    MonoTime next_look_{};

    mutable std::mutex mutex_;  ///< guards what stands between here and the listeners
    Phase phase_ = Phase::disconnected;
    bool greeting_due_ = false;
    bool connected_before_ = false;
    /// The next connection discards the broker's session. Only with QoS 2: packet identifiers that the broker
    /// holds half-way from an earlier connection would make it take new messages for repetitions.
    bool clean_start_;
    MonoTime next_connect_;
    Backoff backoff_;
    Outbox outbox_;
    Millis interval_;
    std::deque<Answer> answers_;
    std::uint64_t commands_ = 0;

    ConnectListener connect_listener_{*this};
    PublishListener publish_listener_{*this};
    mqtt::token_ptr goodbye_;
    /// Of the current connection. Last: it is destroyed first and may call the listeners until then.
    std::unique_ptr<mqtt::async_client> client_;
};

}  // namespace sluice::firmware
