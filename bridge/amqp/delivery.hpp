#pragma once
/// What a delivery says beside its payload, back into MQTT's form: the inverse of MessageProperties.
#include <amqp.h>
#include <amqp_framing.h>

#include <string>
#include <string_view>

#include "bridge/connector.hpp"

namespace sluice::bridge::amqp {

/// The inverse of append_routing_key() for {topic}: "plant.v1%2E2" is "plant/v1.2".
std::string topic_of_routing_key(std::string_view key);

/// A value of a table as text: numbers in decimal, booleans as "true" and "false", a time in seconds since
/// 1970, arrays and tables in JSON's manner. Cut off at `header_bytes_max` bytes and eight levels.
std::string text_of(const amqp_field_value_t& value);

/// Sets all of `incoming` but the payload and what is the connector's own. Headers of RabbitMQ's MQTT plugin
/// are understood like our own; its messages have no topic but in their routing key.
void take_properties(const amqp_basic_properties_t& properties, std::string_view routing_key,
                     Incoming& incoming);

}  // namespace sluice::bridge::amqp
