#pragma once
/// Client: keeps to the letter of MQTT 5, also over its own lost connections and crashes of the broker: it
/// repeats what was not acknowledged in its order, tells QoS 2 messages apart by packet id until PUBREL and
/// by nothing else, acknowledges in order, and forgets everything when it is told that its session is gone.
/// What it does and when is decided by others; what it sees goes to the oracle.
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "shard/inlet.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/random.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::sim {

struct ClientPlan {
    std::string name;
    std::uint32_t expiry_s = 0;  ///< 0: the session ends with the connection
    std::uint16_t receive_maximum = 65535;
    bool publishes = false;
    bool has_will = false;
    std::uint32_t will_delay_s = 0;
    wire::QoS will_qos = wire::QoS::at_least_once;
    std::vector<std::string> filters;  ///< that it may subscribe to
    wire::QoS subscribed_qos = wire::QoS::exactly_once;
};

class Client {
  public:
    Client(ClientPlan plan, Oracle& oracle, Trace& trace, Random& random);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    const ClientPlan& plan() const { return plan_; }
    bool persistent() const { return plan_.expiry_s > 0; }
    bool linked() const { return fd_ >= 0; }  ///< there is a connection, CONNACK may still be missing
    bool connected() const { return linked() && connected_; }

    /// A new connection; an old one stays open and is said nothing of.
    void connect(shard::Inlet& home, bool clean_start);
    /// All connections end without a word; `reads_first`: what has come is still read.
    void cut(bool reads_first);
    /// DISCONNECT.
    void leave();
    /// The broker's process begins, at this time: what was due before may be due again.
    void broker_began() { broker_began_ms_ = now_ms(); }

    bool may_publish() const;
    void publish(const std::string& topic, wire::QoS qos, bool retain, bool clears, std::size_t padding);
    bool may_subscribe() const { return connected() && !pending_; }
    void subscribe(const std::string& filter);
    void unsubscribe(const std::string& filter);

    // Portions; true when there was anything.
    bool read_some(std::size_t bytes);
    bool write_some(std::size_t bytes);
    bool acknowledge_some(std::size_t count);
    /// Wills whose time has come while nobody was connected.
    void look_at_will();

    bool all_acknowledged() const { return sent_.empty() && !pending_ && owed_.empty() && out_.empty(); }
    bool wants_clean_start() const { return clean_pending_; }
    /// The last one of that topic that came as a retained one; 0: none did.
    MessageId retained(const std::string& topic) const {
        const auto found = retained_.find(topic);
        return found == retained_.end() ? 0 : found->second;
    }

  private:
    struct Sent {
        wire::PacketId packet_id = 0;
        MessageId message = 0;
        ByteBuffer packet;  ///< with DUP not set
        bool released = false;
        wire::QoS qos = wire::QoS::at_least_once;
    };
    struct Pending {
        bool subscribes = true;
        std::string filter;
        wire::PacketId packet_id = 0;
    };
    struct Owed {
        wire::PacketType type = wire::PacketType::puback;
        wire::PacketId packet_id = 0;
    };
    struct Will {
        MessageId message = 0;
        bool armed = false;  ///< CONNACK came
        std::int64_t lost_ms = 0;
        bool due = false;
    };

    static std::int64_t now_ms();
    void drop_connection();
    void end_connection();
    void forget_session();
    /// The broker may have ended its session by now.
    bool expired_ago() const;
    std::optional<shard::AdmittedWill> make_will();
    void send(const ByteBuffer& packet) { out_.insert(out_.end(), packet.begin(), packet.end()); }
    void send_ack(wire::PacketType type, wire::PacketId id);
    void repeat_everything();
    void send_pending();
    wire::PacketId free_packet_id();
    void receive(const wire::Frame& frame);
    void receive_connack(const wire::Frame& frame);
    void receive_publish(const wire::Frame& frame);
    void receive_ack(const wire::Frame& frame);
    void receive_suback(const wire::Frame& frame);
    void receive_unsuback(const wire::Frame& frame);
    void receive_disconnect(const wire::Frame& frame);
    bool may_be_gone() const;
    bool must_be_gone() const;
    void violation(const std::string& text) { trace_.violation(plan_.name + ": " + text); }

    const ClientPlan plan_;
    Oracle& oracle_;
    Trace& trace_;
    Random& random_;
    const ClientIndex index_;

    int fd_ = -1;
    std::vector<int> abandoned_;  ///< connections that nobody has closed
    std::unique_ptr<wire::FrameReader> frames_;
    ByteBuffer out_;
    bool connected_ = false;
    std::uint64_t connection_ = 0;
    std::uint16_t quota_ = 1;  ///< the broker's Receive Maximum

    // The session, as the client has it.
    std::deque<Sent> sent_;
    std::set<wire::PacketId> incoming_;  ///< QoS 2, until PUBREL
    std::vector<Owed> owed_;
    std::optional<Pending> pending_;
    wire::PacketId last_id_ = 0;
    bool clean_pending_ = false;  ///< a clean start was asked for and not answered
    bool had_session_ = false;    ///< the broker has told of one since
    std::int64_t gone_ms_ = 0;    ///< when the last connection that had a CONNACK ended
    std::int64_t closed_ms_ = 0;  ///< when the last one of any kind did
    /// An earlier connection had no CONNACK and may have got a new session: one that is there now may be
    /// that.
    bool unsure_ = false, unsure_next_ = false;
    std::int64_t connect_ms_ = 0;  ///< when the present one began
    std::int64_t broker_began_ms_ = 0;
    Will will_;
    std::map<std::string, MessageId> retained_;
};

}  // namespace sluice::sim
