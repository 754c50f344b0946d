#pragma once
/// Connection: the MQTT server's end of one socket: cuts and judges packets, answers them in order, writes
/// what its session sends. One per connected client, on the client's home shard.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/channel.hpp"
#include "shard/answer_backlog.hpp"
#include "shard/refusal.hpp"
#include "shard/shard.hpp"
#include "shard/token_bucket.hpp"
#include "shard/topic_aliases.hpp"
#include "wire/decode.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::shard {

class Connection final : public Link, private net::ChannelHandler, private TicketOwner {
  public:
    Connection(Shard& shard, core::SubscriberId id, Admission admission);
    ~Connection() override;

    /// Sends CONNACK, attaches the session, begins to read.
    void open(bool session_present);
    void on_keep_alive_due();
    /// The client may publish again, for all that limits.publish_rate_max says.
    void on_rate_due();
    /// The client may publish again, for all that limits.memory_max says.
    void on_memory_due();
    /// Memory is used up, a relief goes on: a client that holds some of it and has not moved for many reliefs
    /// is disconnected.
    void end_if_stuck();
    /// What has come of a packet that is not whole.
    std::size_t unfinished_bytes() const { return frames_.pending().size(); }
    /// There is no room for the rest of it.
    void end_unfinished();
    /// A QoS 2 message of an earlier connection waits for its PUBREL only now.
    void note_inbound_before(wire::PacketId id) { inbound_before_.insert(id); }
    const std::string& address() const { return address_; }

    // Link
    Delivered deliver(const core::Send& send) override;
    bool has_room() override;
    void flush(Now now) override;
    void end(wire::ReasonCode reason) override;

  private:
    using Step = Result<void, wire::WireError>;

    /// SUBSCRIBE: what follows when its SUBACK leaves.
    struct SubscribeWork {
        std::vector<wire::ReasonCode> codes;
        std::vector<LinkSpec::Wanted> send_retained;
        const char* why = nullptr;  ///< the Reason String: about the first filter that was refused
        std::size_t bytes = 0;      ///< what it takes while it waits
    };
    /// Answers leave in the order of the packets they answer [MQTT-4.6.0-2, -3], so the first one waiting
    /// holds the others back.
    struct PendingAck {
        wire::PacketType type = wire::PacketType::puback;
        wire::PacketId packet_id = 0;
        bool done = false;
        wire::ReasonCode code = wire::ReasonCode::success;
        const char* why = nullptr;  ///< the Reason String of a refusal; a literal
        bool routed = false;      ///< a PUBLISH that went its way: the answer tells whether anybody wanted it
        bool counts = false;      ///< against the Receive Maximum we announced
        bool unrecorded = false;  ///< PUBREC whose packet id is recorded when all shards have answered
        bool refused = false;     ///< PUBREC of a message that went its way and that a receiver did not take
        TicketId ticket = 0;
        std::unique_ptr<SubscribeWork> work;
    };

    /// Of a client that came in by an Authentication Method [MQTT5 4.12].
    struct EnhancedAuth {
        std::string method;
        ByteBuffer connack_data;
        std::unique_ptr<auth::AuthExchange> exchange;  ///< while it authenticates again
        bool answer_due = false;                       ///< the exchange works on a step
    };

    // net::ChannelHandler
    void on_bytes(Bytes plain) override;
    void on_closed(const std::string& why) override;
    void on_writable() override;
    // TicketOwner
    void on_ticket(std::uint64_t cookie, const TicketAnswer& answer) override;

    /// Why nothing is read from the client at present.
    enum class Pause : std::uint8_t {
        acks = 1,    ///< too many of its packets wait for the disk
        rate = 2,    ///< it publishes faster than limits.publish_rate_max
        memory = 4,  ///< it publishes, and limits.memory_max is reached
        output = 8,  ///< it asks and does not read our answers
    };

    /// Those that hold also what has been read already.
    static constexpr unsigned held_pauses =
        static_cast<unsigned>(Pause::rate) | static_cast<unsigned>(Pause::memory);

    Step handle(const wire::Frame& frame);
    // connection_flow.cpp
    static std::uint16_t keep_alive_for(std::uint16_t asked_s, std::chrono::seconds longest);
    void feed(Bytes plain);
    /// For keep-alive: what came of the next packet, or the whole of it.
    void note_received(bool whole_packet, std::size_t bytes);
    void pause(Pause why);
    void resume(Pause why);
    void release(Pause why);
    /// Reads on, when there is no reason left not to.
    void listen();
    /// The client has ended the connection: what is still to be read is too late to slow anybody down.
    void end_holds();
    /// What was read before the connection went, and was held.
    void feed_held();
    /// Not even what has been read already is handled.
    bool is_held() const { return (pauses_ & held_pauses) != 0; }
    void hold_to_rate();
    void hold_to_memory();
    void hold_to_store();
    void hold_for(bool unfinished);
    /// Counts what is unfinished; it goes on when there is room for more.
    void hold_unfinished();
    /// What may wait for the client: less when memory is full.
    std::size_t unless_full(std::size_t plenty, std::size_t full) const {
        return shard_.memory_level() == MemoryWatch::Level::full ? full : plenty;
    }
    /// Whether QoS 0 is sent to the client as far as limits.memory_max goes.
    bool keeps_up();
    void on_acks_left();
    void on_output_left();
    // connection_publish.cpp
    Step handle_publish(const wire::Frame& frame);
    Step resolve_topic(wire::Publish& packet, std::string_view& topic);
    Step set_alias(std::string& name, std::string_view topic);
    /// Far above limits.memory_max, where a large message is refused.
    bool lacks_memory_for(const wire::Publish& packet);
    Step refuse_large(const wire::Publish& packet);
    Step check_receive_maximum(const wire::Publish& packet) const;
    Step refuse_publish(const wire::Publish& packet, const Refused& why);
    core::MessagePtr freeze(const wire::Publish& packet, std::string_view topic);
    void publish(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin = {});
    void accept_qos1(const wire::Publish& packet, const core::MessagePtr& message);
    void accept_qos2(const wire::Publish& packet, const core::MessagePtr& message);
    void repeat_pubrec(wire::PacketId id);
    bool repeat_open(const wire::Publish& packet);
    bool awaits_pubrec(wire::PacketId id) const { return pubrecs_ && pubrecs_->contains(id); }
    Step handle_pubrel(const wire::Frame& frame);
    // connection_ack.cpp
    Step handle_puback(const wire::Frame& frame);
    Step handle_pubrec(const wire::Frame& frame);
    Step handle_pubcomp(const wire::Frame& frame);
    /// Its place in the row of answers: a cookie that stays valid until it has left.
    std::uint64_t push_ack(wire::PacketType type, wire::PacketId id);
    PendingAck& ack_at(std::uint64_t cookie) { return acks_[cookie - first_ack_]; }
    /// Opens the ack's ticket; `work` runs in between and may add waits; the ack leaves when all of them are
    /// over.
    template <class Work>
    void with_ticket(std::uint64_t cookie, Work&& work) {
        const TicketId ticket = shard_.tickets().open(*this, cookie);
        ack_at(cookie).ticket = ticket;
        work(ticket);
        shard_.tickets().answer(ticket, wire::ReasonCode::success, false);
        note_if_waiting(cookie);
    }
    /// A PUBREC that did not leave at once is in pubrecs_ until it does.
    void note_if_waiting(std::uint64_t cookie);
    /// There is nothing to wait for (any more).
    void finish_ack(std::uint64_t cookie);
    void cancel_tickets();
    void leave_refused(const PendingAck& ack);
    void send_ready_acks();
    void send_ack(PendingAck& ack);
    void explain(wire::Properties& properties, const char* why) const;
    template <class Packet, class Encode>
    void write_answer(Packet packet, const char* why, Encode&& encode);
    // connection_refuse.cpp
    std::optional<Refused> refuse_topic(std::string_view topic) const;
    static std::optional<Refused> refuse_payload(const wire::Publish& packet);
    std::optional<Refused> refuse_filter(std::string_view filter);
    void note_refusal(const Refused& refused);
    // connection_subscribe.cpp
    Step handle_subscribe(const wire::Frame& frame);
    void count_work(SubscribeWork& work);
    bool too_much_waits() const;
    wire::ReasonCode subscribe_one(const wire::SubscribeEntry& entry, std::uint32_t identifier,
                                   SubscribeWork& work);
    Step handle_unsubscribe(const wire::Frame& frame);
    // connection_auth.cpp
    Step handle_auth(const wire::Frame& frame);
    void take_exchange_step(std::optional<Bytes> data);
    void on_exchange_step(const auth::ExchangeStep& step);
    void send_auth(wire::ReasonCode code, std::optional<Bytes> data);
    void refuse_reauthentication(const auth::Refusal& refusal);
    // connection.cpp
    Step handle_pingreq();
    Step handle_disconnect(const wire::Frame& frame);
    bool send_connack(bool session_present);
    void fail(const wire::WireError& error);
    void leave(Departure how);
    void write(Bytes bytes);
    /// Whether no more than so much waits, once the socket was asked.
    bool takes_within(std::uint64_t bytes);
    OutboundAliases* out_aliases();
    bool is_v5() const { return version_ == wire::Version::v5; }
    Slot& slot() { return shard_.slot(id_); }
    core::Session& session() { return *slot().session; }
    std::string describe();

    Shard& shard_;
    const core::SubscriberId id_;
    net::Channel channel_;
    const std::string address_;  ///< of the far end, for the log
    wire::FrameReader frames_;
    const wire::Version version_;
    const bool client_id_assigned_;
    const bool session_expiry_changed_;
    const bool request_problem_information_;
    bool gone_ = false;         ///< the session is not ours any more; nothing may be sent or handled
    bool answered_ = false;     ///< CONNACK is out
    bool unsendable_ = false;   ///< an answer was larger than the client takes
    bool feeding_ = false;      ///< inside feed()
    bool holds_ended_ = false;  ///< the client is not to be slowed any more: its connection is gone
    std::uint8_t pauses_ = 0;   ///< of Pause
    memory_gauge::Unfinished unfinished_;  ///< of frames_
    memory_gauge::Kept kept_;              ///< of aliases_
    bool heard_ = false;                   ///< bytes came since memory was last relieved
    bool answers_ = false;                 ///< it acknowledged a message since then
    std::uint8_t reliefs_stuck_ = 0;
    std::uint16_t bytes_since_received_ = 0;  ///< of an unfinished packet, since last_received_
    AnswerBacklog output_;
    std::uint64_t taken_at_relief_ = 0;        ///< of output_, when memory was last relieved
    std::uint64_t taken_at_keep_alive_ = 0;    ///< of output_, when keep-alive was looked at
    std::size_t backlog_bytes_ = 0;            ///< what the socket had not taken at the end of the last turn
    const std::uint16_t receive_maximum_;      ///< the client's
    const std::uint16_t receive_maximum_own_;  ///< ours, as CONNACK told it: a reload does not change it
    const std::uint16_t alias_maximum_own_;    ///< likewise
    const std::uint16_t keep_alive_s_;         ///< 0: none
    const bool keep_alive_changed_;            ///< the client asked for another one
    const std::uint16_t out_alias_maximum_;    ///< 0: the client, or the operator, wants none
    const std::uint32_t packet_bytes_max_;     ///< the client's Maximum Packet Size
    MonoTime last_received_{};
    /// QoS 2 messages of earlier connections that wait for their PUBREL: the Receive Maximum begins anew with
    /// each connection [MQTT5 4.9].
    core::PacketIdSet inbound_before_;
    TokenBucket rate_;
    Ring<PendingAck> acks_;
    std::unique_ptr<core::PacketIdSet> pubrecs_;    ///< ids of the PUBRECs among them; null: never any
    std::uint64_t first_ack_ = 0;                   ///< cookie of acks_.front()
    std::size_t publishes_pending_ = 0;             ///< acks_ that count
    std::size_t work_bytes_ = 0;                    ///< of the work in acks_
    std::vector<std::string> aliases_;              ///< topic aliases of the client, by alias - 1
    std::unique_ptr<OutboundAliases> out_aliases_;  ///< ours; none before the first message
    std::unique_ptr<EnhancedAuth> enhanced_auth_;   ///< null: none
};

}  // namespace sluice::shard
