#pragma once
/// A bridge with both directions: two connectors, each with a thread and a connection of its own, as one.
#include <memory>

#include "bridge/connector.hpp"

namespace sluice::bridge::amqp {

/// `up` has what is offered and `down` what is settled.
std::unique_ptr<Connector> make_two_ways(std::unique_ptr<Connector> up, std::unique_ptr<Connector> down);

}  // namespace sluice::bridge::amqp
