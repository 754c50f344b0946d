#pragma once
/// The amqp connector: keeps a connection alive and decides what the server's confirms mean for the bridge.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/amqp/connection.hpp"
#include "bridge/amqp/settings.hpp"
#include "bridge/amqp/suspects.hpp"
#include "bridge/amqp/unconfirmed.hpp"
#include "bridge/amqp/watchdog.hpp"
#include "bridge/backoff.hpp"
#include "bridge/cloud_event.hpp"
#include "bridge/lane_queue.hpp"
#include "bridge/mapping.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp {

struct Route {
    Template exchange;
    Template routing_key;
    bool persistent = true;
    bool mandatory = true;
    std::optional<CloudEventMapping> event;
};

/// One routing key of an exchange, as a name among those of exchanges.
std::string place_of(std::string_view exchange, std::string_view routing_key);

/// A message counts as delivered when its confirm has come and no return before it. What is nacked is sent
/// again after a pause; what is returned is refused; when the connection or its channel ends, everything
/// unconfirmed is void and the bridge offers it again.
class AmqpEngine final : public Engine {
  public:
    AmqpEngine(ConnectorSpec spec, AmqpSettings settings, std::vector<ServerAddress> servers,
               std::vector<Route> routes);
    void run(Worker& worker) override;
    void interrupt() override { watchdog_.break_all(); }

  private:
    bool connect(Worker& worker);
    std::string prepare_channels();
    /// Empty unless the connection is of no use any more.
    std::string find_exchange(std::uint32_t route);
    void wait_for_exchange(std::uint32_t route, std::string why);
    void look_for_exchanges();
    void serve(Worker& worker);
    void drain(Worker& worker);
    void wait(Worker& worker, std::chrono::milliseconds longest);
    std::chrono::milliseconds wait_time();

    void pump();
    bool may_send(const LaneQueue& lane, Steady::time_point now) const;
    void send(LaneQueue& lane, Held held);
    /// Sets `exchange_`, `routing_key_` and `event_`.
    Result<void, std::string> render(const Held& held, const MessageView& view);
    /// Empty when the message can be sent as `exchange_` and `routing_key_`.
    std::string route_problem(const Held& held) const;
    void refuse(const Held& held, std::string reason, Outcome outcome = Outcome::refused);

    void read();
    void judge(const ServerEvent& event);
    void settle(Unconfirmed::Sent& sent, bool acked);

    // engine_close.cpp:
    void learn(const ServerEvent& closed);
    /// Whether something was learnt that keeps back what was sent and closed the channel.
    bool learn_size_limit(const std::string& close_text);
    bool learn_bad_place(const ServerEvent& closed);
    void look_for_the_guilty(const ServerEvent& closed);
    bool try_suspect();
    bool suspects_go_first();

    void show_stall(Worker& worker);

    const std::string bridge_name_, origin_;
    const AmqpSettings settings_;
    const std::vector<ServerAddress> servers_;
    const std::vector<Route> routes_;
    Watchdog watchdog_;
    Backoff backoff_;
    std::size_t next_server_ = 0;
    /// The server's own limit, learnt from its complaint: the message that broke it must not break the
    /// next connection too.
    std::uint64_t message_bytes_max_ = UINT64_MAX;

    /// Exchanges that the server does not have or not for us, and routing keys that are not for us, learnt
    /// likewise. Tried again after a while.
    struct BadPlace {
        std::string reason;
        bool is_forbidden = false;
        Steady::time_point until;
    };
    std::map<std::string, BadPlace, std::less<>> bad_places_;
    Suspects suspects_;

    // One connection's worth; reset by connect().
    std::unique_ptr<Connection> connection_;
    /// Routes whose exchange is written out and missing, or not for us, and the server's words. They wait.
    std::map<std::uint32_t, std::string> waiting_routes_;
    Steady::time_point next_look_{};  ///< for those exchanges
    LaneSet lanes_;
    Unconfirmed sent_;
    std::uint64_t waited_for_ = 1;  ///< tags before it need not be confirmed before a suspect is tried
    std::vector<ServerEvent> server_events_;
    std::vector<Confirm> confirms_;
    std::string down_reason_;  ///< set: this connection is to be given up
    bool blocked_ = false;
    bool wants_room_ = false;  ///< a message waits for room in the socket
    std::string blocked_reason_, nack_reason_;
    Steady::time_point last_progress_{};
    std::string exchange_, routing_key_;
    CloudEvent event_;
};

}  // namespace sluice::bridge::amqp
