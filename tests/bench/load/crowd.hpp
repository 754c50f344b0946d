#pragma once
/// Many clients that do little: sit idle, hold subscriptions, come and go, read retained messages.
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client.hpp"

namespace bench {

/// Clients of one broker that are connected, and perhaps subscribed, and then kept.
class Crowd final : public Handler {
  public:
    Crowd(std::uint16_t port, bool tls, std::string prefix);

    /// `count` more clients; a few hundred at a time.
    void connect(std::uint32_t count);
    /// `count` more filters at QoS 0, spread evenly over the clients; `name_of` gives the filter of each.
    void subscribe(std::uint32_t count, const std::function<std::string(std::uint32_t)>& name_of);
    /// `count` retained messages under PREFIX/0, PREFIX/1, ..., through the first client; QoS 1.
    void publish_retained(std::uint32_t count, std::size_t payload_bytes);
    /// Each client subscribes to `filter`; returns when each has `expected` messages.
    void read_retained(const std::string& filter, std::uint32_t expected);

    void on_packet(Client& client, const Packet& packet) override;

  private:
    void wait_for(const char* what, const std::uint64_t& counter, std::uint64_t wanted);

    std::uint16_t port_;
    std::string prefix_;
    TlsContext tls_;
    Loop loop_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::uint64_t connacks_ = 0, subacks_ = 0, pubacks_ = 0, publishes_ = 0;
};

struct ChurnPlan {
    std::uint16_t port = 0;
    bool tls = false;
    bool resume = false;  ///< TLS: all but the first resume that one's session
    std::uint32_t count = 1000;
    std::uint32_t parallel = 10;  ///< clients under way at a time
    std::uint32_t rate = 0;       ///< new ones per second; 0: as fast as it goes
};

struct ChurnResult {
    double seconds = 0;
    std::uint32_t resumed = 0;
};

/// Clients that connect, are accepted, say DISCONNECT and leave.
class Churn final : public Handler {
  public:
    explicit Churn(ChurnPlan plan);
    ChurnResult run();
    void on_packet(Client& client, const Packet& packet) override;

  private:
    void start_one();

    ChurnPlan plan_;
    TlsContext tls_;
    TlsSession session_;
    Loop loop_;
    std::vector<std::unique_ptr<Client>> under_way_;
    std::vector<std::uint32_t> accepted_;
    std::uint32_t started_ = 0;
    ChurnResult result_;
};

}  // namespace bench
