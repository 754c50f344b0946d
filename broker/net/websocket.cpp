#include "net/websocket.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "net/websocket_upgrade.hpp"
#include "wire/topic.hpp"

namespace sluice::net {
namespace {

enum Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close_frame = 8, ping = 9, pong = 10 };
enum CloseCode : std::uint16_t {
    normal = 1000,
    protocol_error = 1002,
    unsupported_data = 1003,
    not_text = 1007,
    too_big = 1009
};

constexpr std::size_t control_bytes_max = 125;  // RFC 6455, 5.5

/// Codes that may stand in a close frame (RFC 6455, 7.4).
bool may_be_sent(std::uint16_t code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

class WebSocketFilter final : public Filter {
  public:
    explicit WebSocketFilter(std::shared_ptr<const WebSocketRules> rules) : rules_(std::move(rules)) {}

    Result<void, FilterError> receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) override;
    Result<void, FilterError> send(Bytes plain, ByteBuffer& wire) override;
    void close(ByteBuffer& wire) override;
    bool ready() const override { return phase_ == Phase::open || phase_ == Phase::closed; }

  private:
    enum class Phase : std::uint8_t { request, open, closed, refused };
    using Step = Result<void, FilterError>;

    Step read_request(Bytes& wire, ByteBuffer& reply);
    Step read_frame(Bytes& wire, ByteBuffer& plain, ByteBuffer& reply);
    /// Takes header bytes; true when the header is whole.
    Result<bool, FilterError> read_header(Bytes& wire, ByteBuffer& reply);
    Step check_header(ByteBuffer& reply);
    Step finish_control(ByteBuffer& reply);
    Step answer_close(ByteBuffer& reply);
    void unmask(Bytes masked, ByteBuffer& out);
    Err<FilterError> fail(CloseCode code, std::string why, ByteBuffer& reply);
    static void append_header(Opcode opcode, std::size_t bytes, ByteBuffer& out);
    static void append_close(std::uint16_t code, ByteBuffer& out);

    bool is_control() const { return (header_[0] & 8) != 0; }
    Opcode opcode() const { return static_cast<Opcode>(header_[0] & 15); }
    std::size_t header_bytes() const;

    const std::shared_ptr<const WebSocketRules> rules_;
    Phase phase_ = Phase::request;
    bool in_message_ = false;  ///< a fragmented message has begun
    bool in_payload_ = false;
    std::uint8_t header_size_ = 0;           ///< bytes of header_ that have come
    std::array<std::uint8_t, 14> header_{};  ///< of the present frame, its mask last
    std::uint64_t payload_left_ = 0;
    std::uint64_t payload_at_ = 0;  ///< position in the payload, for the mask
    std::array<std::uint8_t, 4> mask_{};
    ByteBuffer kept_;  ///< the request so far; later the payload of a control frame
};

Result<void, FilterError> WebSocketFilter::receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) {
    while (!wire.empty()) {
        if (phase_ == Phase::closed || phase_ == Phase::refused) return {};
        const auto step =
            phase_ == Phase::request ? read_request(wire, reply) : read_frame(wire, plain, reply);
        if (!step) return step;
    }
    return {};
}

Result<void, FilterError> WebSocketFilter::read_request(Bytes& wire, ByteBuffer& reply) {
    if (kept_.empty() && (wire[0] < 'A' || wire[0] > 'Z')) {
        phase_ = Phase::refused;
        return Err{
            FilterError{wire[0] == 0x10 ? "WebSocket: not HTTP at all (plain MQTT sent to a WebSocket port?)"
                        : wire[0] == 0x16 ? "WebSocket: not HTTP at all (TLS sent to a port without TLS?)"
                                          : "WebSocket: not HTTP at all"}};
    }
    const std::size_t before = kept_.size();
    const std::size_t room = rules_->limits.request_bytes_max - before;
    append(kept_, wire.first(std::min(room, wire.size())));
    constexpr std::string_view end = "\r\n\r\n";
    // The end may lie across two reads.
    const std::size_t at = as_text(kept_).find(end, before < end.size() ? 0 : before - end.size());
    websocket::UpgradeAnswer answer;
    if (at != std::string_view::npos) {
        wire = wire.subspan(at + end.size() - before);
        answer = websocket::answer_upgrade(as_text(kept_).substr(0, at + end.size()), *rules_);
    } else if (kept_.size() < rules_->limits.request_bytes_max) {
        wire = {};
        return {};
    } else {
        answer = websocket::refuse_upgrade("431 Request Header Fields Too Large", "the request is too long");
    }
    append(reply, as_bytes(answer.response));
    ByteBuffer().swap(kept_);
    phase_ = answer.fault ? Phase::refused : Phase::open;
    if (answer.fault) return Err{FilterError{std::move(*answer.fault)}};
    return {};
}

std::size_t WebSocketFilter::header_bytes() const {
    if (header_size_ < 2) return 2;
    const int length = header_[1] & 127;
    return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + ((header_[1] & 128) != 0 ? 4 : 0);
}

Result<bool, FilterError> WebSocketFilter::read_header(Bytes& wire, ByteBuffer& reply) {
    while (header_size_ < header_bytes()) {
        if (wire.empty()) return false;
        header_[header_size_++] = wire[0];
        wire = wire.subspan(1);
        // Before lengths and masks are waited for that an illegal frame may not have.
        if (header_size_ == 2)
            if (auto checked = check_header(reply); !checked) return Err{checked.error()};
    }
    const std::uint8_t short_length = header_[1] & 127;
    payload_left_ = short_length;
    if (short_length == 126) payload_left_ = read_u16(header_.data() + 2);
    if (short_length == 127) payload_left_ = read_u64(header_.data() + 2);
    const bool longer_than_needed = (short_length == 126 && payload_left_ < 126) ||
                                    (short_length == 127 && payload_left_ < 65536) ||
                                    payload_left_ >> 63 != 0;
    if (longer_than_needed)
        return fail(protocol_error, "a frame's length is not encoded as it should be", reply);
    if (payload_left_ > rules_->limits.frame_bytes_max) return fail(too_big, "a frame is too large", reply);
    std::memcpy(mask_.data(), header_.data() + header_size_ - 4, 4);
    payload_at_ = 0;
    in_payload_ = true;
    return true;
}

Result<void, FilterError> WebSocketFilter::check_header(ByteBuffer& reply) {
    const bool final = (header_[0] & 128) != 0;
    if ((header_[0] & 0x70) != 0) return fail(protocol_error, "a frame has reserved bits set", reply);
    if ((header_[1] & 128) == 0) return fail(protocol_error, "a frame is not masked", reply);
    if (is_control() && (!final || (header_[1] & 127) > control_bytes_max))
        return fail(protocol_error, "a control frame is fragmented or too long", reply);
    switch (opcode()) {
        case continuation:
            if (!in_message_) return fail(protocol_error, "a continuation without a beginning", reply);
            break;
        case binary:
            if (in_message_) return fail(protocol_error, "a new message inside a fragmented one", reply);
            break;
        case text:
            return fail(unsupported_data, "a text frame; MQTT is binary", reply);  // [MQTT-6.0.0-1]
        case close_frame:
        case ping:
        case pong:
            break;
        default:
            return fail(protocol_error, "a frame of an unknown kind", reply);
    }
    if (!is_control()) in_message_ = !final;
    return {};
}

Result<void, FilterError> WebSocketFilter::read_frame(Bytes& wire, ByteBuffer& plain, ByteBuffer& reply) {
    if (!in_payload_) {
        const auto whole = read_header(wire, reply);
        if (!whole) return Err{whole.error()};
        if (!*whole) return {};
    }
    const Bytes masked =
        wire.first(static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, wire.size())));
    unmask(masked, is_control() ? kept_ : plain);
    wire = wire.subspan(masked.size());
    payload_left_ -= masked.size();
    if (payload_left_ > 0) return {};
    const bool control = is_control();
    in_payload_ = false;
    header_size_ = 0;
    return control ? finish_control(reply) : Step{};
}

void WebSocketFilter::unmask(Bytes masked, ByteBuffer& out) {
    const std::size_t begin = out.size();
    append(out, masked);
    std::uint8_t* at = out.data() + begin;
    std::array<std::uint8_t, 8> turned{};
    for (std::size_t i = 0; i < turned.size(); ++i) turned[i] = mask_[(payload_at_ + i) & 3];
    std::uint64_t eight = 0;
    std::memcpy(&eight, turned.data(), sizeof(eight));
    std::size_t i = 0;
    for (; i + 8 <= masked.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, at + i, sizeof(word));
        word ^= eight;
        std::memcpy(at + i, &word, sizeof(word));
    }
    for (; i < masked.size(); ++i) at[i] ^= turned[i & 7];
    payload_at_ += masked.size();
}

Result<void, FilterError> WebSocketFilter::finish_control(ByteBuffer& reply) {
    if (opcode() == close_frame) return answer_close(reply);
    if (opcode() == ping) {
        append_header(pong, kept_.size(), reply);
        append(reply, kept_);
    }
    ByteBuffer().swap(kept_);
    return {};
}

Result<void, FilterError> WebSocketFilter::answer_close(ByteBuffer& reply) {
    if (kept_.size() == 1) return fail(protocol_error, "a close frame with half a code", reply);
    std::uint16_t code = normal;
    if (!kept_.empty()) code = read_u16(kept_.data());
    if (!may_be_sent(code)) return fail(protocol_error, "a close frame with an impossible code", reply);
    if (kept_.size() > 2 && !wire::is_mqtt_utf8(as_text(Bytes(kept_).subspan(2))))  // RFC 6455, 5.5.1 and 8.1
        return fail(not_text, "a close frame whose reason is not UTF-8", reply);
    append_close(code, reply);
    phase_ = Phase::closed;
    return Err{FilterError{"closed by the peer"}};
}

Err<FilterError> WebSocketFilter::fail(CloseCode code, std::string why, ByteBuffer& reply) {
    append_close(code, reply);
    phase_ = Phase::closed;
    return Err{FilterError{"WebSocket: " + std::move(why)}};
}

void WebSocketFilter::append_header(Opcode opcode, std::size_t bytes, ByteBuffer& out) {
    out.push_back(static_cast<std::uint8_t>(128 | opcode));
    if (bytes < 126) {
        out.push_back(static_cast<std::uint8_t>(bytes));
    } else if (bytes < 65536) {
        out.push_back(126);
        append_u16(out, static_cast<std::uint16_t>(bytes));
    } else {
        out.push_back(127);
        append_u64(out, bytes);
    }
}

void WebSocketFilter::append_close(std::uint16_t code, ByteBuffer& out) {
    append_header(close_frame, 2, out);
    append_u16(out, code);
}

Result<void, FilterError> WebSocketFilter::send(Bytes plain, ByteBuffer& wire) {
    if (phase_ != Phase::open) return Err{FilterError{"WebSocket: nothing can be sent outside a session"}};
    append_header(binary, plain.size(), wire);
    append(wire, plain);
    return {};
}

void WebSocketFilter::close(ByteBuffer& wire) {
    if (phase_ != Phase::open) return;
    phase_ = Phase::closed;
    append_close(normal, wire);
}

}  // namespace

std::unique_ptr<Filter> make_websocket_filter(std::shared_ptr<const WebSocketRules> rules) {
    return std::make_unique<WebSocketFilter>(std::move(rules));
}

std::unique_ptr<Filter> make_websocket_filter() {
    static const auto any = std::make_shared<const WebSocketRules>();
    return make_websocket_filter(any);
}

}  // namespace sluice::net
