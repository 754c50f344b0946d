#pragma once
/// `[limits]`: what bounds the broker as a whole and each client.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/settings.hpp"

namespace sluice::shard {

/// What happens to a message that finds a queue full [FIELD: a choice].
enum class QueueFull : std::uint8_t { drop_oldest, drop_newest, reject };

struct Limits {
    std::uint32_t packet_bytes_max = 1 << 20;  ///< announced as Maximum Packet Size; up to 256 MiB - 1
    std::uint32_t connections_max = 10000;
    std::string server_reference;  ///< told to those who come above connections_max; empty: nothing
    std::uint32_t connections_per_address_max = 0;  ///< from accept on; 0: no limit
    std::uint32_t handshakes_max = 1000;            ///< connections that have not been let in yet
    std::uint32_t queue_messages_max = 100000;      ///< per session
    std::uint64_t queue_bytes_max = 256ULL << 20;   ///< per session, message bodies
    std::chrono::milliseconds queue_age_max{0};     ///< per message; 0: however old
    QueueFull queue_full = QueueFull::drop_oldest;
    std::uint16_t receive_maximum =
        100;  ///< announced: QoS 1 and 2 messages that a client may have unacknowledged
    std::uint16_t inflight_max = 100;        ///< towards a client, at most its own Receive Maximum
    std::uint16_t topic_alias_maximum = 10;  ///< announced: topic aliases a client may use
    std::uint16_t topic_alias_out_max = 16;  ///< topic aliases that we use, at most what the client allows
    std::uint32_t retained_messages_max = 1000000;
    /// Bytes of messages in the whole process; 0: no limit. None: the app finds one that suits the machine.
    std::optional<std::uint64_t> memory_max;
    std::chrono::seconds upstream_ack_timeout{
        30};  ///< routes with ack = "upstream": then the publisher gets an error
    std::uint64_t write_buffer_bytes_max = 16ULL << 20;  ///< per connection: QoS 0 is dropped above it
    std::uint16_t topic_bytes_max = 65535;               ///< of topics and filters
    std::uint16_t topic_levels_max = 200;                ///< likewise
    std::uint32_t subscriptions_max = 10000;             ///< per client
    std::uint32_t publish_rate_max = 0;                  ///< messages per second and client; 0: no limit
    std::chrono::seconds keep_alive_max{0};              ///< the longest keep-alive; 0: no limit
    std::chrono::seconds connect_timeout{
        10};  ///< from accept to a whole CONNECT or the end of AUTH, TLS included
    std::chrono::seconds session_expiry_max{7 * 24 *
                                            3600};  ///< longest that a session outlives its connection
    bool operator==(const Limits&) const = default;
};
std::span<const SettingRow> limits_rows();

}  // namespace sluice::shard
