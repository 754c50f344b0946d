#pragma once
/// MQTT clients on one epoll loop: everything that can be read is read, everything that was written in a turn
/// leaves in one write.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "packets.hpp"
#include "transport.hpp"

namespace bench {

class Client;

/// Gets the packets of a client. Called from Loop::turn.
class Handler {
  public:
    virtual void on_packet(Client& client, const Packet& packet) = 0;

  protected:
    ~Handler() = default;
};

/// The monotonic clock, ns.
std::uint64_t now_ns();

class Loop {
  public:
    Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop();

    void watch(int descriptor, Client* client, bool for_write);
    void rewatch(int descriptor, Client* client, bool for_write);
    void forget(int descriptor);
    /// Waits up to `timeout_ms` for something to read, and handles all of it; then writes what is to be
    /// written. True if anything happened. A descriptor watched for nobody (a timer) just ends the wait.
    bool turn(int timeout_ms);
    void write_soon(Client& client);
    void flush();

  private:
    int epoll_;
    std::vector<Client*> dirty_;
};

class Client {
  public:
    Client(Loop& loop, Handler& handler, std::uint16_t port, SSL_CTX* context,
           SSL_SESSION* session = nullptr);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();

    /// What the owner uses to tell its clients apart.
    std::uint32_t index = 0;

    std::vector<char>& out() { return out_; }
    /// Sent at the end of the turn.
    void send(std::string_view bytes) {
        out_.insert(out_.end(), bytes.begin(), bytes.end());
        loop_.write_soon(*this);
    }
    void send_soon() { loop_.write_soon(*this); }
    std::size_t unsent() const { return out_.size() - sent_; }
    const Transport& transport() const { return transport_; }
    bool ready() const { return ready_; }

  private:
    friend Loop;
    void on_ready();
    void read();
    std::size_t handle(std::string_view bytes);
    void flush();

    Loop& loop_;
    Handler& handler_;
    Transport transport_;
    std::string rest_;  // a packet that has not come whole
    std::vector<char> out_;
    std::size_t sent_ = 0;
    bool dirty_ = false;
    bool watches_write_ = false;
    bool ready_;  // the handshake is over
};

}  // namespace bench
