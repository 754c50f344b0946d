#pragma once
/// Connection: one life of a connection to RabbitMQ. Turns frames into values; decides nothing.
#include <amqp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "bridge/amqp/settings.hpp"
#include "bridge/amqp/tls_socket.hpp"
#include "bridge/amqp/watchdog.hpp"
#include "bridge/server_address.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp {

/// What the server said to a publisher.
struct ServerEvent {
    enum class Kind : std::uint8_t { ack, nack, returned, blocked, unblocked, closed };
    Kind kind = Kind::ack;
    std::uint64_t tag = 0;  ///< ack, nack, returned
    bool multiple = false;  ///< ack, nack: all up to the tag
    std::string text;       ///< returned, blocked, closed: why
    /// closed: the server's reply code; 0 when the connection was lost
    std::uint16_t code = 0;
};

/// The header that carries a message's delivery tag, so that a returned one can be told from its siblings:
/// basic.return has no tag of its own.
constexpr std::string_view tag_header = "x-sluice-seq";

inline amqp_bytes_t to_amqp(std::string_view text) {
    return {text.size(), const_cast<char*>(text.data())};
}

class Connection {
  public:
    /// Connects and logs in, for channels 1 to `channels`; breaks off when the worker is to stop. The error
    /// is one line for the operator.
    static Result<std::unique_ptr<Connection>, std::string> open(const AmqpSettings& settings,
                                                                 const ServerAddress& server, Worker& worker,
                                                                 Watchdog& watchdog,
                                                                 amqp_channel_t channels = 1);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Empty when it is open.
    std::string open_channel(amqp_channel_t channel);

    struct CallResult {
        std::string problem;     ///< empty when it went well; otherwise the channel is closed
        std::uint16_t code = 0;  ///< the server's reply code, if it is the server that does not like the call
    };

    // For publishing, on channel 1:
    /// Whether the exchange is there for us. Asked on channel 2, which is open again afterwards, so that the
    /// answer does not end what is under way. May take connect_timeout.
    CallResult check_exchange(const std::string& exchange);
    /// The channel counts delivery tags from 1 from here. Empty when done.
    std::string start_confirms();

    /// Empty when sent. Blocks while the socket has no room: ask ready_to_send() first.
    std::string publish(std::string_view exchange, std::string_view routing_key, bool mandatory,
                        const amqp_basic_properties_t& properties, Bytes body);
    /// Takes the frames that are there; sends heartbeats and notices missing ones: to be called at least
    /// every heartbeat / 2, also when idle. False when the connection is lost; `events` then ends in closed.
    bool read(std::vector<ServerEvent>& events);

    // For consuming, on any channel:
    /// For rabbitmq-c's calls that are answered; call_result() is to follow each.
    amqp_connection_state_t state() { return state_; }
    CallResult call_result(amqp_channel_t channel);
    /// basic.ack of one delivery, or of all up to it. A failure shows as problem().
    void acknowledge(amqp_channel_t channel, std::uint64_t tag, bool multiple);
    /// basic.reject: the server throws it away by the queue's rules.
    void reject(amqp_channel_t channel, std::uint64_t tag);
    void send_channel_close_ok(amqp_channel_t channel);
    /// As read(), with each frame as it is; it is good only during the call. Stops early when `take` returns
    /// false. False when the connection is lost: then problem() says why.
    bool read_frames(const std::function<bool(const amqp_frame_t&)>& take);
    /// For times when nothing is read. A failure shows as problem().
    void send_heartbeat();
    /// Why the connection is lost; empty while it stands.
    const std::string& problem() const { return problem_; }

    int fd() const { return fd_; }
    bool ready_to_send() const;
    /// Something is to be read that poll() will not tell.
    bool has_buffered() const;
    /// Says goodbye, up to a second.
    void close();

  private:
    explicit Connection(Watchdog& watchdog) : watchdog_(watchdog) {}
    Result<void, std::string> connect_socket(const AmqpSettings& settings, const ServerAddress& server,
                                             Worker& worker);
    /// Empty when the socket is open, and `fd_` set.
    std::string open_plain(int fd);
    std::string open_tls(const AmqpSettings& settings, const ServerAddress& server,
                         const std::string& numeric_host, std::chrono::milliseconds timeout);
    Result<void, std::string> log_in(const AmqpSettings& settings, const std::string& server,
                                     amqp_channel_t channels);
    std::string login_problem(const AmqpSettings& settings, const std::string& server,
                              const std::string& text);
    /// Also notices missing heartbeats; an AMQP_STATUS.
    int next_frame(amqp_frame_t& frame);
    void take_frame(const amqp_frame_t& frame, std::vector<ServerEvent>& events);
    void take_method(const amqp_method_t& method, std::vector<ServerEvent>& events);

    Watchdog& watchdog_;
    std::unique_ptr<TlsSocket> tls_;
    amqp_connection_state_t state_ = nullptr;
    int fd_ = -1;
    std::string problem_;
    /// A return on its way: a method, a header with the tag, then this many bytes of body that we know.
    std::optional<ServerEvent> returning_;
    std::uint64_t returned_bytes_left_ = 0;
};

}  // namespace sluice::bridge::amqp
