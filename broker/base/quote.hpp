#pragma once
/// Strangers' words in a line of the log.
#include <string>
#include <string_view>

namespace sluice::log {

/// What a stranger has chosen (a client id, user name, topic, method): in single quotes, and cut where it is
/// long: "'abc...' (60000 bytes)".
std::string quote(std::string_view text);

}  // namespace sluice::log
