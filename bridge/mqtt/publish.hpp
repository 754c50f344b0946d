#pragma once
/// What a message says, in MQTT's form: a PUBLISH of ours, and what comes of one of the server's.
#include <string_view>

#include "bridge/connector.hpp"
#include "bridge/mapping.hpp"
#include "wire/packets.hpp"

namespace sluice::bridge::mqtt {

/// Our identity headers as user properties. A device's own of these names are left out.
constexpr std::string_view id_property = "sluice-id";
constexpr std::string_view sequence_property = "sluice-sequence";
constexpr std::string_view origin_property = "sluice-origin";

/// The properties of one message, with what is left of its expiry; borrows from it. Version 5.
wire::Properties publish_properties(const HeaderList& list);

/// No less than what the PUBLISH will have, and little more.
std::uint64_t packet_bytes_bound(std::string_view topic, Bytes payload, const wire::Properties& properties);

/// Everything but route and token.
Incoming to_incoming(const wire::Publish& publish);

}  // namespace sluice::bridge::mqtt
