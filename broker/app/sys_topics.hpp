#pragma once
/// The $SYS topics: the broker's own numbers as retained messages, under the names that mosquitto uses where
/// they mean the same. Numbers and texts only; who reads the counters and who publishes is not known here.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"

namespace sluice::app {

/// One reading of the counters. Counts are since the start unless they say "now".
struct SysNumbers {
    std::uint64_t clients_connected = 0;     ///< now
    std::uint64_t clients_disconnected = 0;  ///< now: sessions that wait for their client
    std::uint64_t clients_expired = 0;
    std::uint64_t connections = 0;
    std::uint64_t packets_received = 0, packets_sent = 0;  ///< "messages" of any type
    std::uint64_t publishes_received = 0, publishes_sent = 0, publishes_dropped = 0;
    std::uint64_t publish_bytes_received = 0, publish_bytes_sent = 0;  ///< payloads
    std::uint64_t bytes_received = 0, bytes_sent = 0;
    std::uint64_t subscriptions = 0, shared_subscriptions = 0;  ///< now
    std::uint64_t messages_stored = 0;                          ///< now: on disk and retained
    std::uint64_t retained_messages = 0;                        ///< now
    std::uint64_t heap_bytes = 0;                               ///< now
};

class SysTopics {
  public:
    struct Value {
        std::string topic;
        std::string text;
    };

    /// So many there are: places that clients cannot use for their retained messages.
    static constexpr std::size_t topic_count = 49;

    SysTopics(std::string version, MonoTime started) : version_(std::move(version)), started_(started) {}

    /// What has changed since the last time; everything at the first. Loads are averages per minute over one,
    /// five and fifteen minutes, as in mosquitto.
    std::vector<Value> update(const SysNumbers& now, MonoTime time);

  private:
    struct Load {
        std::string_view name;
        std::uint64_t SysNumbers::*count;
        std::array<double, 3> per_minute{};
    };

    void set(std::string_view topic, std::string text);
    void set(std::string_view topic, std::uint64_t number) { set(topic, std::to_string(number)); }
    void update_loads(const SysNumbers& now, MonoTime time);

    const std::string version_;
    const MonoTime started_;
    std::map<std::string, std::string, std::less<>> texts_;
    std::vector<Value> changed_;
    std::uint64_t clients_maximum_ = 0, heap_maximum_ = 0;
    SysNumbers before_;
    MonoTime before_time_ = started_;
    std::array<Load, 8> loads_{{{"messages/received", &SysNumbers::packets_received},
                                {"messages/sent", &SysNumbers::packets_sent},
                                {"publish/received", &SysNumbers::publishes_received},
                                {"publish/sent", &SysNumbers::publishes_sent},
                                {"publish/dropped", &SysNumbers::publishes_dropped},
                                {"bytes/received", &SysNumbers::bytes_received},
                                {"bytes/sent", &SysNumbers::bytes_sent},
                                {"connections", &SysNumbers::connections}}};
};

}  // namespace sluice::app
