#pragma once
/// The amqp1 connector: keeps a connection alive; what goes by it is the business of Senders and Receivers.
#include <memory>
#include <string>
#include <vector>

#include "bridge/amqp1/connection.hpp"
#include "bridge/amqp1/receivers.hpp"
#include "bridge/amqp1/senders.hpp"
#include "bridge/amqp1/settings.hpp"
#include "bridge/backoff.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp1 {

/// One connection with one session for both directions. When either ends, everything unconfirmed and
/// everything unsettled is void: the bridge offers again, the server sends again.
class Amqp1Engine final : public Engine, private LinkEvents {
  public:
    Amqp1Engine(ConnectorSpec spec, Amqp1Settings settings, std::vector<ServerAddress> servers,
                std::vector<Route> routes, std::vector<Amqp1Down> down_routes);
    void run(Worker& worker) override;

  private:
    bool connect(Worker& worker);
    void serve(Worker& worker);
    void drain(Worker& worker);
    void step(Worker& worker);
    void send();
    std::chrono::milliseconds wait_time() const;
    void show_source(Worker& worker);
    void warn_of_clear_text(const ServerAddress& server);

    void on_link_opened(pn_link_t* link) override;
    void on_link_closed(pn_link_t* link) override;
    void on_session_ended(pn_condition_t* condition) override;
    void on_delivery(pn_delivery_t* delivery) override;

    const std::string bridge_name_, container_;
    const Amqp1Settings settings_;
    const std::vector<ServerAddress> servers_;
    Backoff backoff_;
    std::size_t next_server_ = 0;
    bool warned_ = false;

    std::unique_ptr<Connection> connection_;
    Senders senders_;
    Receivers receivers_;
    std::string down_reason_;
    bool source_told_ = false;    ///< of this connection
    std::string source_problem_;  ///< what was told
};

}  // namespace sluice::bridge::amqp1
