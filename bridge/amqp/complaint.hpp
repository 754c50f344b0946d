#pragma once
/// What the server's words mean when it closes a channel or a connection.
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::bridge::amqp {

/// What a complaint names of a message.
enum class Named : std::uint8_t { nothing, exchange, key };

/// "404 NOT_FOUND - no exchange 'x' in vhost '/'", "403 ACCESS_REFUSED - access to exchange 'x' in vhost '/'
/// refused for user 'y'", and the same with "access to topic 'a.b' in exchange 'x'": one routing key.
/// RabbitMQ cuts its text after 252 bytes, perhaps within a name: then every name that begins like it is
/// named.
Named named_of(std::string_view text, std::string_view exchange, std::string_view routing_key);

/// Whether a close with this code may be a message's doing. Not when the server ends, is short of something
/// or broken (320, 506, 541), or has lost count of its channels (504); 0 is a lost connection.
bool is_about_a_message(std::uint16_t code);

/// "406 PRECONDITION_FAILED - message size 5000 is larger than configured max size 3000".
std::optional<std::uint64_t> size_limit_of(std::string_view text);

}  // namespace sluice::bridge::amqp
