#pragma once
/// Oracle: what the clients were promised, and whether it is kept. It knows only what passed over the
/// connections, never the inside of the broker.
///
/// A subscription is *held* from its SUBACK to the UNSUBSCRIBE, or to a CONNECT that ends the session; it is
/// *possible* from the first SUBSCRIBE to the UNSUBACK, or to the CONNACK that says that the session is gone.
/// A message that was acknowledged is *due* to whoever held a matching subscription from before its first
/// PUBLISH until the acknowledgement; it is *strange* to whoever had no possible one since then.
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "tests/sim/trace.hpp"
#include "wire/packets.hpp"

namespace sluice::sim {

using MessageId = std::uint32_t;  ///< of the model; from 1
using ClientIndex = std::uint32_t;

/// The promise of one receiver, in one life of its session.
struct Due {
    MessageId message = 0;
    ClientIndex client = 0;
    std::uint32_t epoch = 0;
    std::string group;  ///< not empty: any member may have it, while this one stays
};

struct Told {
    ClientIndex publisher = 0;
    std::string topic;
    wire::QoS qos = wire::QoS::at_most_once;
    bool retain = false;
    bool clears = false;
    bool is_will = false;
    std::uint32_t transmissions = 0;
    std::uint64_t first_step = 0;
    bool accepted = false;
    std::vector<Due> candidates;  ///< who held a subscription when it was first sent
};

/// A PUBLISH as a client got it.
struct Got {
    MessageId message = 0;
    std::uint64_t connection = 0;  ///< a number of its own for each
    wire::QoS qos = wire::QoS::at_most_once;
    bool retain = false;
    bool dup = false;
    bool fresh = true;  ///< not a repetition that the client knows by its packet id
};

class Oracle {
  public:
    Oracle(Trace& trace, bool strict) : trace_(trace), strict_(strict) {}

    ClientIndex add_client(std::string name, std::uint32_t expiry_s);

    // What clients do and are told.
    void connect_sent(ClientIndex client, bool ends_session);
    /// The session is a new one.
    void session_lost(ClientIndex client);
    void subscribe_sent(ClientIndex client, const std::string& filter);
    void subscribed(ClientIndex client, const std::string& filter);
    void unsubscribe_sent(ClientIndex client, const std::string& filter);
    void unsubscribed(ClientIndex client, const std::string& filter);
    MessageId new_message(Told message);
    void sent(MessageId message);
    /// `matched`: the acknowledgement did not say that there are no subscribers.
    void accepted(MessageId message, bool matched);
    /// The connection with this will has gone without a word.
    void will_due(MessageId message);
    /// Nothing stands in the way of it any more: who was there all the time must get it.
    void will_published(MessageId message);
    void got(ClientIndex client, const Got& publish);
    /// The upstream of a bridge was given this by a lane.
    void went_up(const std::string& lane, MessageId message);
    /// It refused it for good: as a dead letter it comes again when an operator says so, by any lane.
    void was_refused(MessageId message) { refused_up_.insert(message); }
    /// A full queue may turn wills away: there is nobody to be told.
    void bound_queues() { queues_bounded_ = true; }
    void broker_crashed();
    void lane_there(const std::string& filter) { lane_filter_ = filter; }

    // When nothing moves any more.
    /// `may_miss`: so many may have been dropped by a full queue, and were counted.
    void check_dues(std::uint64_t may_miss);
    /// Of one topic: what a new subscriber has got, 0: nothing.
    void check_retained(const std::string& topic, MessageId found);
    std::set<std::string> retained_topics() const;
    /// What a session must have in the end.
    std::set<std::string> filters_of(ClientIndex client) const;
    const Told& told(MessageId message) const { return told_[message - 1]; }
    std::size_t messages() const { return told_.size(); }
    std::size_t dues() const { return dues_.size(); }

  private:
    enum class Stage : std::uint8_t { asked, held, leaving, ended };
    struct Subscription {
        Stage stage = Stage::asked;
        std::uint64_t held_since = 0, ended_at = 0;
    };
    struct Receipt {
        std::uint32_t copies = 0;  ///< retained ones and known repetitions left out
        std::uint64_t connection = 0;
        std::uint32_t in_connection = 0;
        std::uint32_t epoch = 0;
        bool exactly_once = false;
    };
    /// Publisher, topic, published QoS, received QoS.
    using Lane = std::tuple<ClientIndex, std::string, wire::QoS, wire::QoS>;
    struct Client {
        std::string name;
        bool persistent = false;
        bool short_lived = false;  ///< its session may have ended while nobody looked
        std::uint32_t epoch = 0;
        std::map<std::string, Subscription> filters;
        std::map<MessageId, Receipt> receipts;
        std::map<Lane, MessageId> newest;                ///< first copies
        std::map<Lane, MessageId> newest_in_connection;  ///< of messages that were sent once
        std::uint64_t connection = 0;
    };

    bool matches(const std::string& filter, const std::string& topic);
    void note_candidates(MessageId id, Told& told);
    void check_strange(const Client& client, const Got& publish);
    void check_copies(Client& client, const Got& publish);
    bool held_all_the_time(const Client& client, const Told& told);
    void check_order(Client& client, const Got& publish, bool first);
    bool is_excused(const Due& due) const;
    bool was_handed_on(const Client& client, const Told& told) const;
    /// Known: what a member without a persistent session was given, or left to others in that moment, is in
    /// memory only.
    bool may_be_lost_with_member(const std::string& group, const Told& told) const;
    bool may_have_been_refused(const Told& told) const;
    bool was_delivered(const Due& due) const;
    std::string words(MessageId id) const;

    Trace& trace_;
    const bool strict_;
    std::vector<Client> clients_;
    std::vector<Told> told_;
    std::vector<Due> dues_;
    std::map<std::string, std::map<MessageId, std::uint32_t>> group_copies_;
    std::map<std::string, std::uint64_t> group_last_loss_;    ///< when a member's session last ended
    std::uint64_t last_crash_ = 0;                            ///< the step
    std::map<std::string, std::vector<MessageId>> retained_;  ///< by topic, as they were first sent
    std::map<std::pair<std::string, std::string>, bool> matches_;
    std::string lane_filter_;
    bool queues_bounded_ = false;
    std::map<std::string, std::map<MessageId, std::uint32_t>> went_up_;  ///< by lane
    std::set<MessageId> refused_up_;
    std::map<std::pair<std::string, Lane>, MessageId> newest_up_;
};

}  // namespace sluice::sim
