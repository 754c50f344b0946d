#pragma once
/// What comes down: AMQP 1.0 messages taken apart.
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "bridge/amqp1/proton.hpp"
#include "bridge/connector.hpp"

namespace sluice::bridge::amqp1 {

/// Reads the sections of a message (AMQP 1.0, part 3, 3.2). Not by pn_message_decode(), which keeps the last
/// one only of several data sections. One thread.
class MessageDecoder {
  public:
    MessageDecoder() : data_(pn_data(64)) {}

    /// All of an Incoming except route and token. `address` is its source where the message has neither the
    /// annotation x-routing-key nor a subject. The error says what a message has that has no place in MQTT.
    Result<Incoming, std::string> decode(std::string_view bytes, const std::string& address, WallTime now);

  private:
    Result<void, std::string> take_section(std::uint64_t descriptor, Incoming& incoming, WallTime now);
    void take_header(Incoming& incoming);
    void take_annotations(Incoming& incoming);
    void take_properties(Incoming& incoming, WallTime now);
    void take_application_properties(Incoming& incoming);
    static void take_application_property(std::string name, std::string value, Incoming& incoming);
    Result<void, std::string> take_value(Incoming& incoming);

    DataPtr data_;
    std::string subject_;
};

}  // namespace sluice::bridge::amqp1
