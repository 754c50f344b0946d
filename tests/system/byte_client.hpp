#pragma once
/// ByteClient: bytes to and from the broker, for what stands in front of MQTT and for what is no MQTT at all.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::test {

class ByteClient {
  public:
    static constexpr std::chrono::milliseconds patience{20'000};

    ByteClient() = default;
    /// TCP to 127.0.0.1.
    explicit ByteClient(std::uint16_t port);
    /// TCP to ::1.
    static ByteClient over_ipv6(std::uint16_t port);
    ByteClient(ByteClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
    ByteClient& operator=(ByteClient&& other) noexcept;
    ~ByteClient();

    bool connected() const { return socket_ >= 0; }
    int descriptor() const { return socket_; }
    void send(std::string_view bytes);
    /// Exactly so many bytes; fewer when the connection or the time ended.
    std::string read(std::size_t bytes);
    /// All that comes until `end` has been seen, it included.
    std::string read_through(std::string_view end);
    /// Nothing more comes: true when the other side closes in time. What comes before is kept in `rest`.
    bool closed_by_peer(std::string* rest = nullptr);

  private:
    int socket_ = -1;
};

/// A CONNECT of MQTT 5 without more than a client id, perhaps name and password.
std::string connect_packet(const std::string& client_id, const std::string& user = "",
                           const std::string& password = "");
/// The first four bytes of a CONNACK of MQTT 5 that lets in; 0x20 0x.. 0x00 0x00.
bool is_let_in(ByteClient& client);

}  // namespace sluice::test
