#pragma once
/// SCRAM-SHA-256 as an Authentication Method of MQTT.
#include <memory>

#include "auth/auth.hpp"
#include "auth/scram.hpp"

namespace sluice::auth {

/// With a fresh random nonce. Answers at once, on the caller's thread.
std::unique_ptr<AuthExchange> make_scram_exchange(ScramServer::Lookup lookup);

}  // namespace sluice::auth
