#pragma once
/// The mqtt connector: keeps a connection alive and decides what the server's acknowledgements mean for the
/// bridge.
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/backoff.hpp"
#include "bridge/lane_queue.hpp"
#include "bridge/mapping.hpp"
#include "bridge/mqtt/connection.hpp"
#include "bridge/mqtt/receiver.hpp"
#include "bridge/mqtt/settings.hpp"
#include "bridge/mqtt/suspects.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::mqtt {

struct Route {
    Template topic;
    wire::QoS qos = wire::QoS::at_least_once;
    bool keep_retain = true;
};

/// A message counts as delivered when its PUBACK has come, at QoS 0 when it is written. What the server takes
/// for good is refused, what it does not take now is sent again after a pause; when the connection ends,
/// everything unconfirmed is void and the bridge offers it again: nothing is kept here for a next connection.
class MqttEngine final : public Engine {
  public:
    MqttEngine(ConnectorSpec spec, MqttSettings settings, std::vector<ServerAddress> servers,
               std::vector<Route> routes, std::vector<DownRoute> down_routes);
    void run(Worker& worker) override;

  private:
    using milliseconds = std::chrono::milliseconds;
    struct Sent {
        Held held;
        Steady::time_point at;
    };

    bool connect(Worker& worker);
    Hello hello() const;
    void note_limits() const;
    void lose(Worker& worker);
    void serve(Worker& worker);
    void drain(Worker& worker);
    bool service(Worker& worker);
    void judge_end();
    milliseconds wait_time();
    void on_frame(const wire::Frame& frame, Worker& worker);

    void pump();
    bool send_one_per_lane();
    bool has_room() const;
    bool is_holding() const;
    void tend_suspects();
    void send(Held held);
    Result<wire::Publish, std::string> to_publish(const Held& held, const HeaderList& headers);
    wire::PacketId next_packet_id();
    void finish(const Held& held, Outcome outcome, std::string reason);
    void refuse(const Held& held, std::string reason);
    void confirm(const Held& held);

    void on_puback(const wire::Frame& frame);
    void on_unwilling(Held held, wire::ReasonCode code, std::string words, milliseconds took);
    void confirm_written();
    void show_stall(Worker& worker);

    const std::string bridge_name_, origin_;
    const MqttSettings settings_;
    const std::vector<ServerAddress> servers_;
    const std::vector<Route> routes_;
    Receiver receiver_;
    Backoff backoff_;
    std::size_t server_ = 0;
    Suspects suspects_;

    // One connection's worth; reset by connect().
    std::unique_ptr<Connection> connection_;
    LaneSet lanes_;
    std::uint32_t last_lane_ = 0;  ///< sent last: with a small Receive Maximum each lane has its turn
    std::unordered_map<wire::PacketId, Sent> sent_;  ///< at QoS 1
    wire::PacketId last_packet_id_ = 0;
    struct Written {
        std::uint64_t end;  ///< of its bytes in the stream
        Held held;
    };
    std::deque<Written> written_;  ///< at QoS 0, until the socket has them
    Steady::time_point last_sent_at_{};
    bool written_unseen_ = false;            ///< a message at QoS 0 went, and no PUBACK has come since
    std::map<Suspects::Id, int> unwilling_;  ///< how often in a row a message got a code that says nothing
    std::vector<Confirm> confirms_;
    std::string down_reason_;
    std::string puback_reason_;  ///< why the server does not take a message now
    Steady::time_point last_progress_{};
    std::string topic_;
};

}  // namespace sluice::bridge::mqtt
