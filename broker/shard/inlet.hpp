#pragma once
/// Inlet: the one way into a shard from other threads.
#include <cstdint>
#include <optional>
#include <string>

#include "core/message.hpp"
#include "net/channel.hpp"
#include "shard/link.hpp"
#include "wire/packets.hpp"

namespace sluice::shard {

/// Topics of the broker's own: clients may not publish below this, neither themselves nor by a will.
constexpr std::string_view sys_prefix = "$SYS/";

struct AdmittedWill {
    core::MessagePtr message;
    std::uint32_t delay_s = 0;
};

/// A client that has been let in: all of its CONNECT that matters from now on, and its channel.
struct Admission {
    net::DetachedChannel channel;
    wire::Version version = wire::Version::v5;
    std::string client_id;
    bool client_id_assigned = false;  ///< by us: CONNACK tells it [MQTT-3.1.3-7]
    std::string user_name;
    std::string authentication_method;  ///< of its CONNECT; empty: none [MQTT5 4.12]
    ByteBuffer authentication_data;     ///< for CONNACK; may be empty
    bool clean_start = true;
    std::uint16_t keep_alive_s = 0;
    std::uint32_t session_expiry_interval_s =
        0;                                ///< 0xFFFFFFFF: never; before version 5 from "clean session"
    bool session_expiry_changed = false;  ///< shortened to limits.session_expiry_max: CONNACK tells it
    std::uint16_t receive_maximum = 65535;
    std::uint32_t maximum_packet_size = UINT32_MAX;
    std::uint16_t topic_alias_maximum = 0;
    bool request_problem_information = true;
    std::optional<AdmittedWill> will;
};

/// A message from an upstream.
struct BroughtMessage {
    std::uint64_t token = 0;  ///< the sender's
    core::MessagePtr message;
};
/// Hears what has become of them.
class BroughtSink {
  public:
    virtual ~BroughtSink() = default;
    /// A shard's thread. The message is durable for all who are to have it; or a code from 0x80 on says why
    /// somebody refused it.
    virtual void on_brought(std::uint64_t token, wire::ReasonCode code) = 0;
};

/// About sessions without a socket that have no link (any more).
struct LinkSessionErrand {
    enum class Task : std::uint8_t {
        list,
        retire,  ///< nothing more enters their queues
        end      ///< they are given up, with all that waits
    };
    struct Found {
        std::string client_id;
        std::size_t messages = 0, bytes = 0;
    };
    Task task = Task::list;
    std::string prefix;                              ///< of their client ids
    std::function<void(std::vector<Found>)> answer;  ///< on the shard's thread; may be empty
};

class Inlet {
  public:
    virtual ~Inlet() = default;
    /// Any thread. The shard answers with CONNACK.
    virtual void post_admission(Admission admission) = 0;
    /// Any thread. Puts a session without a socket on this shard.
    virtual void post_link(LinkSpec spec) = 0;
    /// Any thread. `number` as in its LinkSpec; notes of one sender arrive in order.
    virtual void post_note(LinkNumber number, LinkNote note) = 0;
    /// Any thread. The link is ended; its session stays, detached.
    virtual void post_remove_link(LinkNumber number) = 0;
    /// Any thread. A message of the broker's own ($SYS, operators); it is answered to nobody.
    virtual void post_publish(core::MessagePtr message) = 0;
    /// Any thread. Messages from an upstream, in their order; each is answered.
    virtual void post_brought(std::shared_ptr<BroughtSink> sink, std::vector<BroughtMessage> messages) = 0;
    /// Any thread.
    virtual void post_link_sessions(LinkSessionErrand errand) = 0;
};

/// Finds the shard that is home to a client: stable_hash(client id) % shards.
class InletSet {
  public:
    virtual ~InletSet() = default;
    virtual Inlet& home_of(std::string_view client_id) = 0;
    virtual std::size_t size() const = 0;
    virtual Inlet& at(std::size_t shard) = 0;
};

}  // namespace sluice::shard
