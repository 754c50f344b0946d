#pragma once
/// Connection: one life of a connection to an MQTT server, from CONNECT to its end. Cuts what comes into
/// packets and keeps the connection alive; what the packets mean is the engine's.
#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "bridge/mqtt/settings.hpp"
#include "bridge/mqtt/stream.hpp"
#include "wire/encode.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::bridge::mqtt {

/// What CONNECT says beside the settings.
struct Hello {
    std::string client_id;
    bool clean_start = true;
    std::uint32_t session_expiry_s = 0;
    std::uint16_t receive_maximum = 0;  ///< 0: not said
};

/// What the server said in CONNACK [MQTT5 3.2.2.3]; version 3.1.1 says none of it but `session_present`.
struct ServerLimits {
    bool session_present = false;
    std::uint16_t receive_maximum = 65535;  ///< unacknowledged PUBLISH packets of QoS 1
    std::uint32_t packet_bytes_max = 268'435'460;
    wire::QoS qos_max = wire::QoS::exactly_once;
    bool retain_available = true;
    std::chrono::milliseconds keep_alive{0};
};

/// What the end of a connection says of the messages that were under way.
enum class Ending : std::uint8_t {
    other,    ///< nothing: the network, a server that is busy or goes away, a breach that we saw
    hung_up,  ///< the server closed it and did not say why: perhaps one was not to its taste
    message,  ///< the server's words mean a message
};

/// What no further attempt will change. 0x95 to 0x9B stand in no table for PUBACK [MQTT5 3.4.2.1], but
/// servers use them there.
bool is_for_good(wire::ReasonCode code);
/// "quota exceeded (reason code 0x97)".
std::string to_text(wire::ReasonCode code);

class Connection {
  public:
    /// Connects and waits for CONNACK; breaks off when the worker is to stop. The error is one line for the
    /// operator.
    static Result<std::unique_ptr<Connection>, std::string> open(const MqttSettings& settings,
                                                                 const ServerAddress& server,
                                                                 const Hello& hello, Worker& worker);

    wire::Version version() const { return version_; }
    const ServerLimits& limits() const { return limits_; }

    /// Sends what waits, takes what has come, pings. To be called at least every idle_max(). False when the
    /// connection is lost; problem() tells why.
    bool service(const std::function<void(const wire::Frame&)>& on_frame);
    std::chrono::milliseconds idle_max() const {
        return std::clamp(limits_.keep_alive / 8, std::chrono::milliseconds(50),
                          std::chrono::milliseconds(2000));
    }
    /// Whether what has come is taken. While it is not, the server does not count as silent.
    void listen(bool listens) { listens_ = listens; }
    /// Waits for the socket or for the worker.
    void wait(Worker& worker, std::chrono::milliseconds longest);

    void send(Bytes packet) { stream_->send(packet); }
    bool flush();
    std::size_t pending_bytes() const { return stream_->pending_bytes(); }
    std::uint64_t written_bytes() const { return stream_->written_bytes(); }
    /// Ends it because of what the peer has sent.
    void break_off(std::string problem);
    const std::string& problem() const { return problem_; }
    Ending ending() const { return ending_; }
    /// The server has answered a ping: it is there for more than the CONNECT.
    bool proved() const { return proved_; }
    /// Asks for a sign of life, unless that was done and an answer may come.
    void ping();
    Steady::time_point opened_at() const { return opened_at_; }
    /// Says goodbye, as far as there is room in the socket.
    void close();

  private:
    Connection(wire::Version version, std::uint32_t packet_bytes_max);
    void send_connect(const MqttSettings& settings, const Hello& hello);
    Result<void, std::string> await_connack(Worker& worker, Steady::time_point deadline,
                                            const MqttSettings& settings);
    std::string take_connack(const wire::Frame& frame, const std::string& user);
    void take(const wire::Frame& frame, const std::function<void(const wire::Frame&)>& on_frame);
    void take_disconnect(const wire::Frame& frame);
    void lose();
    void keep_alive();

    const wire::Version version_;
    std::unique_ptr<Stream> stream_;
    wire::FrameReader reader_;
    ServerLimits limits_;
    std::string problem_;
    Ending ending_ = Ending::other;
    Steady::time_point opened_at_{};
    Steady::time_point last_received_{}, last_sent_{}, ping_sent_{};
    Steady::time_point last_headway_{};  ///< the peer's machine has acknowledged bytes
    std::uint64_t acknowledged_bytes_ = 0, written_seen_ = 0;
    bool ping_open_ = false, proved_ = false;
    bool listens_ = true;
    bool ended_ = false;  ///< the socket, as poll() says: what is left in it is read in any case
};

}  // namespace sluice::bridge::mqtt
