#include "bridge/amqp/connection.hpp"

#include <amqp_framing.h>
#include <fmt/format.h>
#include <poll.h>

#include "bridge/amqp/reply_text.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr amqp_channel_t publishing = 1;

std::uint64_t tag_of(const amqp_basic_properties_t& properties) {
    if (!(properties._flags & AMQP_BASIC_HEADERS_FLAG)) return 0;
    for (int i = 0; i < properties.headers.num_entries; ++i) {
        const amqp_table_entry_t& entry = properties.headers.entries[i];
        if (as_text({static_cast<const std::uint8_t*>(entry.key.bytes), entry.key.len}) == tag_header &&
            entry.value.kind == AMQP_FIELD_KIND_I64)
            return static_cast<std::uint64_t>(entry.value.value.i64);
    }
    return 0;
}

}  // namespace

std::string Connection::publish(std::string_view exchange, std::string_view routing_key, bool mandatory,
                                const amqp_basic_properties_t& properties, Bytes body) {
    const Watchdog::Sending sending(watchdog_);
    const int status = amqp_basic_publish(state_, publishing, to_amqp(exchange), to_amqp(routing_key),
                                          mandatory ? 1 : 0, 0, &properties, to_amqp(as_text(body)));
    if (status == AMQP_STATUS_OK) return {};
    return fmt::format("sending failed: {}", amqp_error_string2(status));
}

bool Connection::ready_to_send() const {
    pollfd waiting{fd_, POLLOUT, 0};
    return ::poll(&waiting, 1, 0) > 0 && (waiting.revents & POLLOUT) != 0;
}

bool Connection::has_buffered() const {
    return amqp_frames_enqueued(state_) || amqp_data_in_buffer(state_);
}

int Connection::next_frame(amqp_frame_t& frame) {
    timeval at_once{0, 0};
    const Watchdog::Sending sending(watchdog_);  // a heartbeat
    return amqp_simple_wait_frame_noblock(state_, &frame, &at_once);
}

bool Connection::read_frames(const std::function<bool(const amqp_frame_t&)>& take) {
    while (problem_.empty()) {
        amqp_frame_t frame{};
        const int status = next_frame(frame);
        if (status == AMQP_STATUS_TIMEOUT) break;
        if (status != AMQP_STATUS_OK) {
            problem_ = fmt::format("the connection is lost: {}", amqp_error_string2(status));
        } else if (frame.frame_type == AMQP_FRAME_METHOD &&
                   frame.payload.method.id == AMQP_CONNECTION_CLOSE_METHOD) {
            problem_ = close_text(frame.payload.method);
            const Watchdog::Sending sending(watchdog_);
            amqp_connection_close_ok_t ok{};
            amqp_send_method(state_, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
        } else if (!take(frame)) {
            break;
        }
    }
    amqp_maybe_release_buffers(state_);
    return problem_.empty();
}

void Connection::send_heartbeat() {
    if (!problem_.empty()) return;
    const Watchdog::Sending sending(watchdog_);
    amqp_frame_t heartbeat{};
    heartbeat.frame_type = AMQP_FRAME_HEARTBEAT;
    const int status = amqp_send_frame(state_, &heartbeat);
    if (status != AMQP_STATUS_OK) problem_ = fmt::format("sending failed: {}", amqp_error_string2(status));
}

Connection::CallResult Connection::call_result(amqp_channel_t channel) {
    const auto reply = amqp_get_rpc_reply(state_);
    CallResult result{reply_text(reply), 0};
    if (result.problem.empty()) return result;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        result.code = static_cast<const amqp_channel_close_t*>(reply.reply.decoded)->reply_code;
        send_channel_close_ok(channel);
    } else {
        problem_ = result.problem;
    }
    return result;
}

void Connection::acknowledge(amqp_channel_t channel, std::uint64_t tag, bool multiple) {
    if (!problem_.empty()) return;
    const Watchdog::Sending sending(watchdog_);
    const int status = amqp_basic_ack(state_, channel, tag, multiple ? 1 : 0);
    if (status != AMQP_STATUS_OK) problem_ = fmt::format("sending failed: {}", amqp_error_string2(status));
}

void Connection::reject(amqp_channel_t channel, std::uint64_t tag) {
    if (!problem_.empty()) return;
    const Watchdog::Sending sending(watchdog_);
    const int status = amqp_basic_reject(state_, channel, tag, /*requeue=*/0);
    if (status != AMQP_STATUS_OK) problem_ = fmt::format("sending failed: {}", amqp_error_string2(status));
}

void Connection::send_channel_close_ok(amqp_channel_t channel) {
    const Watchdog::Sending sending(watchdog_);
    amqp_channel_close_ok_t ok{};
    amqp_send_method(state_, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
}

bool Connection::read(std::vector<ServerEvent>& events) {
    for (;;) {
        amqp_frame_t frame{};
        const int status = next_frame(frame);
        if (status == AMQP_STATUS_TIMEOUT) break;
        if (status != AMQP_STATUS_OK) {
            events.push_back({ServerEvent::Kind::closed, 0, false,
                              fmt::format("the connection is lost: {}", amqp_error_string2(status))});
            return false;
        }
        take_frame(frame, events);
        if (!events.empty() && events.back().kind == ServerEvent::Kind::closed) return false;
    }
    amqp_maybe_release_buffers(state_);
    return true;
}

void Connection::take_frame(const amqp_frame_t& frame, std::vector<ServerEvent>& events) {
    if (frame.frame_type == AMQP_FRAME_METHOD) {
        take_method(frame.payload.method, events);
        return;
    }
    if (!returning_) return;
    if (frame.frame_type == AMQP_FRAME_HEADER) {
        returning_->tag =
            tag_of(*static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded));
        returned_bytes_left_ = frame.payload.properties.body_size;
    } else if (frame.frame_type == AMQP_FRAME_BODY) {
        returned_bytes_left_ -=
            std::min<std::uint64_t>(returned_bytes_left_, frame.payload.body_fragment.len);
    }
    if (returned_bytes_left_ > 0) return;
    events.push_back(std::move(*returning_));
    returning_.reset();
}

void Connection::take_method(const amqp_method_t& method, std::vector<ServerEvent>& events) {
    using Kind = ServerEvent::Kind;
    switch (method.id) {
        case AMQP_BASIC_ACK_METHOD: {
            const auto& ack = *static_cast<const amqp_basic_ack_t*>(method.decoded);
            events.push_back({Kind::ack, ack.delivery_tag, ack.multiple != 0, {}});
            break;
        }
        case AMQP_BASIC_NACK_METHOD: {
            const auto& nack = *static_cast<const amqp_basic_nack_t*>(method.decoded);
            events.push_back({Kind::nack, nack.delivery_tag, nack.multiple != 0, {}});
            break;
        }
        case AMQP_BASIC_RETURN_METHOD: {
            const auto& back = *static_cast<const amqp_basic_return_t*>(method.decoded);
            returning_ = ServerEvent{
                Kind::returned, 0, false,
                fmt::format("unroutable: {} (exchange '{}', routing key '{}')", to_string(back.reply_text),
                            to_string(back.exchange), to_string(back.routing_key))};
            break;
        }
        case AMQP_CONNECTION_BLOCKED_METHOD: {
            const auto& blocked = *static_cast<const amqp_connection_blocked_t*>(method.decoded);
            events.push_back({Kind::blocked, 0, false, to_string(blocked.reason)});
            break;
        }
        case AMQP_CONNECTION_UNBLOCKED_METHOD:
            events.push_back({Kind::unblocked, 0, false, {}});
            break;
        case AMQP_CHANNEL_CLOSE_METHOD: {
            events.push_back({Kind::closed, 0, false, close_text(method), close_code(method)});
            send_channel_close_ok(publishing);
            break;
        }
        case AMQP_CONNECTION_CLOSE_METHOD: {
            events.push_back({Kind::closed, 0, false, close_text(method), close_code(method)});
            const Watchdog::Sending sending(watchdog_);
            amqp_connection_close_ok_t ok{};
            amqp_send_method(state_, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
            break;
        }
        default:
            break;
    }
}

void Connection::close() {
    const Watchdog::Sending sending(watchdog_);
    timeval second{1, 0};
    amqp_set_rpc_timeout(state_, &second);
    amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
}

}  // namespace sluice::bridge::amqp
