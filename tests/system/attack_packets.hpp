#pragma once
/// What attackers send, as strings of bytes.
#include <string>
#include <vector>

#include "wire/encode.hpp"
#include "wire/packets.hpp"

namespace sluice::test::attack {

inline std::string text(std::size_t bytes) {
    return std::string(bytes, 'x');
}

struct ConnectOptions {
    bool clean_start = true;
    std::uint32_t expiry_s = 0;  ///< version 5; before that any but 0 keeps the session
    bool v5 = true;
};
std::string connect_as(const std::string& client_id, const ConnectOptions& options = {});
/// With a will that makes the packet about so large.
std::string connect_with_will(const std::string& client_id, std::size_t bytes);

struct PublishOptions {
    wire::QoS qos = wire::QoS::at_most_once;
    bool retain = false;
    int id = 0;     ///< any number; a packet id is made of it
    int alias = 0;  ///< 0: none
    bool v5 = true;
};
std::string publish(const std::string& topic, const std::string& payload, const PublishOptions& options = {});
std::string subscribe(const std::vector<std::string>& filters, wire::QoS qos = wire::QoS::at_most_once);
std::string pings(int count);
std::string disconnect();
inline std::string all_but_the_end(std::string packet) {
    packet.pop_back();
    return packet;
}

std::string websocket_upgrade();
/// One frame, masked with zeros.
std::string websocket_frame(const std::string& bytes);

}  // namespace sluice::test::attack
