#pragma once
/// Senders: the links that messages go up by, one per address, and what the server says of each message.
#include <proton/delivery.h>
#include <proton/link.h>

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bridge/amqp1/message_up.hpp"
#include "bridge/backoff.hpp"
#include "bridge/bad_places.hpp"
#include "bridge/lane_queue.hpp"
#include "bridge/mapping.hpp"

namespace sluice::bridge::amqp1 {

struct Route {
    Template address;
    Template::Append append_address;
    Template partition_key;
    Template group_id;
    bool durable = true;
};

/// Accepted is delivered, rejected is refused; released and modified messages go back to their lane, which
/// waits. A link that the server takes away is opened again after a while, and what was under way on it goes
/// back. An address that a message names and that is missing or forbidden is given up for a while, one that
/// is written out in the config is waited for. All but that is for one connection at a time; one thread.
class Senders {
  public:
    Senders(std::vector<Route> routes, std::string origin, std::uint64_t seed);

    /// A new connection. The links of fixed addresses are opened at once: a missing one is known early.
    void start(pn_session_t* session, const std::string& product);
    /// The connection is gone, and with it everything offered.
    void reset();
    void push(std::vector<Outgoing> offered) { lanes_.push(std::move(offered)); }
    /// Sends what lanes, credit and the room in Proton's buffers let out. True when it stopped for room only.
    bool pump(std::size_t unsent_bytes_max);
    /// Closes links that nobody has used for long.
    void sweep();

    void on_link_opened(pn_link_t* link);
    void on_link_closed(pn_link_t* link);
    /// The session was ended: because of one of our links? `others_opening`: it may be a receiver's. When it
    /// is ours that address is left out for a while.
    bool blame(pn_condition_t* condition, bool others_opening);
    void on_delivery(pn_delivery_t* delivery);

    std::vector<Confirm>& confirms() { return confirms_; }
    std::size_t unsettled() const { return sent_.size(); }
    /// True once after anything was delivered.
    bool take_progress() { return std::exchange(progress_, false); }
    /// Why messages wait, as one line; empty when they do not, or not for long.
    std::string stall(std::chrono::milliseconds confirm_timeout) const;
    /// When pump() may do more by time alone; max() when not.
    Steady::time_point wake_at() const;

  private:
    struct Link {
        std::string address;
        pn_link_t* link = nullptr;  ///< null: to be opened, not before retry_at
        bool fixed = false;         ///< the address of a route without placeholders: kept open
        bool in_config = false;     ///< a route without placeholders goes there
        bool opened = false;        ///< the server has answered
        std::uint64_t number = 0;   ///< in the order of opening
        std::size_t unsettled = 0;
        bool carries_suspect = false;  ///< nothing else goes while it is on its way
        bool suspect_waits = false;    ///< for the rest to be settled
        std::string problem;           ///< why the server took it away; empty after a success
        Steady::time_point used_at{}, retry_at{};
        std::optional<Steady::time_point> waiting_since;  ///< a message waits for credit
        Backoff backoff;
        explicit Link(std::uint64_t seed) : backoff(seed) {}
    };
    struct Sent {
        Held held;
        Link* link = nullptr;
        std::list<Sent>::iterator self;
    };

    void pump_lane(LaneQueue& lane, std::size_t unsent_bytes_max);
    /// Sets `address_` and `marks_`. The error says which part the message lacks.
    Result<void, std::string> render(const Held& held, const MessageView& view);
    bool is_given_up(Steady::time_point now);
    Link* find_link(bool in_config, Steady::time_point now);
    Link* add_link(const std::string& address, bool fixed);
    bool make_room();
    void open_link(Link& link);
    void close_link(Link& link);
    bool can_send(Link& link, const Held& held, Steady::time_point now);
    void send(Link& link, LaneQueue& lane);
    void refuse(const Held& held, std::string reason, Outcome outcome = Outcome::refused);
    void judge(Sent& sent, pn_delivery_t* delivery);
    void judge_rejected(Sent& sent, pn_disposition_t* outcome);
    void put_back(Sent& sent, std::string reason);
    void forget(Sent& sent);
    void void_deliveries(Link& link, bool too_large);

    /// An address of the config that cost a session.
    struct Barred {
        std::string reason;
        Steady::time_point until;
    };

    const std::vector<Route> routes_;
    const std::string origin_;
    const std::uint64_t seed_;
    MessageEncoder encoder_;
    BadPlaces bad_places_;                  ///< that messages name; outlives connections
    std::map<std::string, Barred> barred_;  ///< likewise

    pn_session_t* session_ = nullptr;
    bool is_rabbitmq_ = false;
    LaneSet lanes_;
    std::map<std::string, Link> links_;
    std::list<Sent> sent_;
    std::vector<Confirm> confirms_;
    std::uint64_t next_tag_ = 0, next_link_ = 0;
    std::uint64_t started_links_ = 0;  ///< those with smaller numbers were opened by start()
    bool progress_ = false;
    bool wants_room_ = false;
    Steady::time_point progress_at_{};
    std::string not_taken_reason_;  ///< why a message went back; empty after a success
    std::string address_;
    Marks marks_;
};

}  // namespace sluice::bridge::amqp1
