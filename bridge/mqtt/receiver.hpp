#pragma once
/// Receiver: the down direction. Subscribes, hands on what comes, and acknowledges what the bridge has
/// settled.
#include <deque>
#include <string>
#include <unordered_set>
#include <vector>

#include "bridge/backoff.hpp"
#include "bridge/down_bounds.hpp"
#include "bridge/mqtt/connection.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::mqtt {

/// Packet identifiers of PUBLISH are 1 to this; those above are for SUBSCRIBE, one for each row.
constexpr wire::PacketId publish_id_max = 60'000;
constexpr std::size_t down_rows_max = 65'535 - publish_id_max;

struct DownRoute {
    std::string filter;
    wire::QoS qos = wire::QoS::at_least_once;
    bool keep_retain = true;
};

/// One thread. Outlives connections: tokens are never used twice.
class Receiver {
  public:
    Receiver(std::string bridge_name, std::vector<DownRoute> routes, std::uint32_t inflight_max);

    bool has_routes() const { return !routes_.empty(); }
    std::uint16_t receive_maximum() const;

    /// A new connection: what was unsettled is void, and comes again. `server` tells one server from another.
    void begin(Connection& connection, std::size_t server, Worker& worker);
    /// The connection may end now: nothing more is handed on or acknowledged by itself.
    void close() { closing_ = true; }

    /// Whether to take more from the connection. `up_waits`: for acknowledgements, which come the same way.
    bool wants_more(bool up_waits);
    void on_publish(const wire::Frame& frame, Connection& connection);
    void on_suback(const wire::Frame& frame, Connection& connection, Worker& worker);
    /// Acknowledges in the order in which the messages came [MQTT-4.6.0-2]. True when there was any.
    bool settle(const std::vector<Settled>& settled, Connection& connection);
    /// Hands on what has come, and asks again for what was refused.
    void work(Worker& worker, Connection& connection);

  private:
    /// A message that the server gave us, until it is acknowledged.
    struct Open {
        wire::PacketId packet_id = 0;  ///< 0 at QoS 0
        std::size_t bytes = 0;
        bool settled = false;
        bool kept = true;
    };
    struct Subscription {
        bool granted = false, answered = false;
        std::string problem;
    };

    void subscribe(std::size_t row, Connection& connection);
    void tell_source(Worker& worker);
    std::size_t row_of(std::string_view topic) const;
    void hand_on(Incoming incoming);
    void acknowledge(Connection& connection);

    const std::string bridge_name_;
    const std::vector<DownRoute> routes_;
    const std::uint32_t inflight_max_;
    std::uint64_t next_token_ = 1;

    std::size_t server_ = 0;
    std::vector<Subscription> subscriptions_;  ///< by row
    Backoff refused_backoff_;
    Steady::time_point ask_again_at_ = Steady::time_point::max();

    std::deque<Open> open_;  ///< by token, without gaps, from first_token_
    std::uint64_t first_token_ = 1;
    std::unordered_set<wire::PacketId> open_ids_;
    std::uint32_t unsettled_ = 0;      ///< handed on
    std::size_t unsettled_bytes_ = 0;  ///< also of what is held back
    Steady::time_point next_sip_{};
    std::vector<Incoming> incoming_;  ///< to be handed on now
    std::deque<Incoming> held_back_;  ///< there are too many unsettled
    bool closing_ = false;
};

}  // namespace sluice::bridge::mqtt
