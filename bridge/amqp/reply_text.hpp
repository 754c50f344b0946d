#pragma once
/// What rabbitmq-c and the server say went wrong, as one line.
#include <amqp.h>
#include <fmt/format.h>

#include <string>

#include "base/bytes.hpp"

namespace sluice::bridge::amqp {

inline std::string to_string(amqp_bytes_t bytes) {
    return {static_cast<const char*>(bytes.bytes), bytes.len};
}

/// "404 NOT_FOUND - no exchange 'x' in vhost '/'": the server's text begins with the code's name.
inline std::string close_text(const amqp_method_t& method) {
    if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const auto& close = *static_cast<const amqp_channel_close_t*>(method.decoded);
        return fmt::format("the server closed the channel: {} {}", close.reply_code,
                           to_string(close.reply_text));
    }
    if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const auto& close = *static_cast<const amqp_connection_close_t*>(method.decoded);
        return fmt::format("the server closed the connection: {} {}", close.reply_code,
                           to_string(close.reply_text));
    }
    return fmt::format("unexpected answer {}", amqp_method_name(method.id));
}

/// 0 when it is no close.
inline std::uint16_t close_code(const amqp_method_t& method) {
    if (method.id == AMQP_CHANNEL_CLOSE_METHOD)
        return static_cast<const amqp_channel_close_t*>(method.decoded)->reply_code;
    if (method.id == AMQP_CONNECTION_CLOSE_METHOD)
        return static_cast<const amqp_connection_close_t*>(method.decoded)->reply_code;
    return 0;
}

/// Empty when the call went well.
inline std::string reply_text(const amqp_rpc_reply_t& reply) {
    switch (reply.reply_type) {
        case AMQP_RESPONSE_NORMAL:
            return {};
        case AMQP_RESPONSE_SERVER_EXCEPTION:
            return close_text(reply.reply);
        case AMQP_RESPONSE_LIBRARY_EXCEPTION:
            return amqp_error_string2(reply.library_error);
        case AMQP_RESPONSE_NONE:
            break;
    }
    return "the server closed the connection";
}

}  // namespace sluice::bridge::amqp
