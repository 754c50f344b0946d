#pragma once
/// Connection: one life of an AMQP 1.0 connection with one session. Moves bytes between the socket and
/// Proton's engine and hands on what happens to links; decides nothing.
#include <proton/connection_driver.h>
#include <proton/event.h>

#include <memory>
#include <string>

#include "base/result.hpp"
#include "bridge/amqp1/settings.hpp"
#include "bridge/client_socket.hpp"
#include "bridge/server_address.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp1 {

/// Whom a connection tells of its links and deliveries. Called in exchange() only.
class LinkEvents {
  public:
    virtual ~LinkEvents() = default;
    /// The server has answered our attach. A refusal looks the same at first: its detach follows.
    virtual void on_link_opened(pn_link_t* link) = 0;
    /// The server has detached the link; its condition says why. All its deliveries are void.
    virtual void on_link_closed(pn_link_t* link) = 0;
    /// The server has ended the session, and the connection will be lost; `condition` says why.
    virtual void on_session_ended(pn_condition_t* condition) = 0;
    /// A delivery of ours has an outcome, or one of the server's has more bytes.
    virtual void on_delivery(pn_delivery_t* delivery) = 0;
};

class Connection {
  public:
    /// Connects, logs in and opens; breaks off when the worker is to stop. The error is one line for the
    /// operator. `container` names us to the server.
    static Result<std::unique_ptr<Connection>, std::string> open(const Amqp1Settings& settings,
                                                                 const ServerAddress& server,
                                                                 const std::string& container,
                                                                 Worker& worker);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Takes the bytes that are there, tells `events` what they mean, sends what is to be sent, and sees to
    /// the heartbeats of both sides. False when the connection is lost: why().
    bool exchange(LinkEvents& events);
    /// Sends what fits into the socket. True when any byte went.
    bool flush();
    /// Sleeps until the socket can go on, the worker wakes, a heartbeat is due, or at most `longest`.
    void wait(Worker& worker, std::chrono::milliseconds longest);

    pn_session_t* session() const { return session_; }
    /// Bytes that were given to Proton and not sent yet.
    std::size_t unsent_bytes() const;
    /// What the server calls itself: "RabbitMQ".
    const std::string& product() const { return product_; }
    const std::string& why() const { return why_; }
    /// Says goodbye, and waits up to a second for the server's when it `answers`.
    void close(Worker& worker, bool answers);

  private:
    Connection(const Amqp1Settings& settings, const ServerAddress& server);
    Result<void, std::string> start(const std::string& container);
    Result<void, std::string> await_opened(Worker& worker, Steady::time_point deadline);
    bool receive();
    void dispatch(LinkEvents& events);
    void take_event(pn_event_t* event, LinkEvents& events);
    void note_product();
    void lose(std::string why);
    std::string transport_problem();

    const Amqp1Settings& settings_;
    const ServerAddress& server_;
    std::unique_ptr<ClientSocket> socket_;
    pn_connection_driver_t driver_{};
    pn_session_t* session_ = nullptr;
    bool opened_ = false;          ///< the server's open frame has come
    bool has_more_ = false;        ///< the last exchange ended before the bytes did
    std::int64_t tick_at_ms_ = 0;  ///< when Proton wants to look at its clocks; 0: never
    std::string product_;
    std::string why_;  ///< set: the connection is lost
};

}  // namespace sluice::bridge::amqp1
