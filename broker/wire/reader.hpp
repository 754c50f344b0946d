#pragma once
/// Reader walks over the body of one packet. The first failure sticks and moves the position to the end:
/// what is read afterwards is zero or empty, so a decoder reads like the specification's table and asks once.
/// Inside this room only.
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/packets.hpp"
#include "wire/topic.hpp"
#include "wire/varint.hpp"

namespace sluice::wire {

/// Each reading function takes the words for the log if it fails: the packet and the field.
class Reader {
  public:
    explicit Reader(Bytes input) : rest_(input) {}

    bool ok() const { return !failed_; }
    const WireError& error() const { return error_; }
    bool at_end() const { return rest_.empty(); }
    Bytes rest() const { return rest_; }

    /// Only the first failure counts.
    void fail(ReasonCode code, const char* what) {
        if (failed_) return;
        failed_ = true;
        error_ = {code, what};
        rest_ = {};
    }
    void malformed(const char* what) { fail(ReasonCode::malformed_packet, what); }
    void protocol_error(const char* what) { fail(ReasonCode::protocol_error, what); }
    /// A failed condition is malformed.
    void require(bool condition, const char* what) {
        if (!condition) malformed(what);
    }

    Bytes take(std::size_t size, const char* what) {
        if (size > rest_.size()) {
            malformed(what);
            return {};
        }
        const Bytes front = rest_.first(size);
        rest_ = rest_.subspan(size);
        return front;
    }
    std::uint8_t u8(const char* what) {
        const Bytes b = take(1, what);
        return b.empty() ? std::uint8_t{0} : b[0];
    }
    std::uint16_t u16(const char* what) {
        const Bytes b = take(2, what);
        return b.empty() ? std::uint16_t{0} : read_u16(b.data());
    }
    std::uint32_t u32(const char* what) {
        const Bytes b = take(4, what);
        return b.empty() ? 0 : read_u32(b.data());
    }
    std::uint32_t varint(const char* what) {
        const Varint v = read_varint(rest_);
        if (v.state != VarintState::complete) {
            malformed(what);
            return 0;
        }
        rest_ = rest_.subspan(v.size_bytes);
        return v.value;
    }
    Bytes binary(const char* what) { return take(u16(what), what); }
    std::string_view text(const char* what) {
        const std::string_view t = as_text(binary(what));
        if (!is_mqtt_utf8(t)) {  // [MQTT-1.5.4-1], [MQTT-1.5.4-2]
            malformed(what);
            return {};
        }
        return t;
    }
    /// A topic filter. A bad one is malformed: a code in SUBACK is for one that is "correctly formed but not
    /// allowed" [MQTT5 3.9.3]; MQTT 3.1.1 closes the connection too [MQTT-3.1.1:4.8.0-1]. There, "$share/..."
    /// is a filter like any other.
    std::string_view topic_filter(Version version, const char* what) {
        const std::string_view filter = text(what);
        require(is_topic_filter(filter), what);                             // [MQTT-4.7.1-1, 4.7.3-1]
        require(version < Version::v5 || parse_share(filter).valid, what);  // [MQTT-4.8.2-1, -2]
        return filter;
    }
    PacketId packet_id(const char* what) {
        const PacketId id = u16(what);
        // It can be parsed, so it is not malformed. [MQTT-2.2.1-3], [MQTT-2.2.1-4]
        if (id == 0) protocol_error(what);
        return id;
    }

  private:
    Bytes rest_;
    bool failed_ = false;
    WireError error_;
};

/// The frame of every decoder: `fill(Reader&, Packet&)`, then nothing may be left over. The packet is filled
/// in place inside the result because it is large.
template <class Packet, class Fill>
Result<Packet, WireError> decode_with(Bytes body, const char* trailing, Fill&& fill) {
    Result<Packet, WireError> result{Packet{}};
    Reader in(body);
    fill(in, *result);
    if (!in.at_end()) in.malformed(trailing);
    if (!in.ok()) result = Err{in.error()};
    return result;
}

}  // namespace sluice::wire
