#pragma once
/// The down direction of the amqp connector, on a connection of its own: RabbitMQ stops reading from
/// connections that publish while it is low on memory or disk, and those that only consume go on.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bridge/amqp/connection.hpp"
#include "bridge/amqp/consumer.hpp"
#include "bridge/amqp/settings.hpp"
#include "bridge/amqp/watchdog.hpp"
#include "bridge/backoff.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp {

/// Keeps a connection alive, with a channel for each queue. A queue that is not there disturbs no other one.
class ConsumeEngine final : public Engine {
  public:
    /// `queues`: one for each row of spec.down_routes. Without routes it also says whether the bridge is up.
    ConsumeEngine(const ConnectorSpec& spec, AmqpSettings settings, std::vector<ServerAddress> servers,
                  std::vector<DownQueue> queues);
    void run(Worker& worker) override;
    void interrupt() override { watchdog_.break_all(); }

  private:
    bool connect(Worker& worker);
    void serve(Worker& worker);
    void drain(Worker& worker);
    void lose(Worker& worker);
    void wait(Worker& worker, std::chrono::milliseconds longest);
    std::chrono::milliseconds longest_wait() const;
    std::chrono::milliseconds wait_time() const;
    void settle(Worker& worker);
    void read();
    void work(const Worker& worker);
    void tell_source(Worker& worker);
    std::size_t unsettled() const;
    void note_handed_on(const Incoming& incoming);
    void forget(std::uint64_t token);
    /// What the bridge has not settled holds so much memory that nothing more is read; TCP tells the server.
    bool is_full() const;
    void keep_alive();

    const bool alone_;  ///< the bridge has no routes
    const AmqpSettings settings_;
    const std::vector<ServerAddress> servers_;
    const std::size_t handed_on_max_;
    std::vector<Consumer> consumers_;  ///< by row
    Watchdog watchdog_;
    Backoff backoff_;
    std::size_t next_server_ = 0;

    /// Bytes by token: what the bridge holds, also of earlier connections.
    std::map<std::uint64_t, std::size_t> handed_on_;
    std::size_t handed_on_bytes_ = 0;

    std::unique_ptr<Connection> connection_;
    Steady::time_point next_heartbeat_{};  ///< while nothing is read
    Steady::time_point connected_at_{};
    std::string down_reason_;
    std::vector<Incoming> incoming_;  ///< to be handed on now
};

}  // namespace sluice::bridge::amqp
