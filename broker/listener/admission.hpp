#pragma once
/// What CONNECT means: judged before anybody waits for a password. Pure.
#include <string>

#include "base/result.hpp"
#include "shard/inlet.hpp"
#include "shard/limits.hpp"
#include "wire/packets.hpp"

namespace sluice::listener {

/// Why a CONNECT is turned away: for CONNACK, and for the log.
struct ConnectRefusal {
    wire::ReasonCode code = wire::ReasonCode::unspecified_error;
    std::string why;
};

/// Fills in everything but the channel and the user name. `assigned_id`: for a client that brings none.
Result<shard::Admission, ConnectRefusal> judge_connect(const wire::Connect& connect,
                                                       const shard::Limits& limits, std::string assigned_id);

/// The will as a message, once it is known who publishes it.
core::MessagePtr freeze_will(const wire::Will& will, std::string_view client_id, std::string_view user_name,
                             WallTime now);

/// A client id that nobody else has: "sluice-" and 22 random letters and digits.
std::string make_client_id();

}  // namespace sluice::listener
