#pragma once
/// MQTT 5 property bytes for tests, written out by hand as the specification has them [MQTT5 2.2.2].
#include <string_view>

#include "base/bytes.hpp"

namespace sluice::test {

inline void append_text(ByteBuffer& out, std::string_view text) {
    append_u16(out, static_cast<std::uint16_t>(text.size()));
    append(out, as_bytes(text));
}

struct PropertyBytes {
    ByteBuffer bytes;
    PropertyBytes& payload_format(std::uint8_t value) {
        bytes.push_back(0x01);
        bytes.push_back(value);
        return *this;
    }
    PropertyBytes& content_type(std::string_view value) { return text(0x03, value); }
    PropertyBytes& response_topic(std::string_view value) { return text(0x08, value); }
    PropertyBytes& correlation_data(std::string_view value) { return text(0x09, value); }
    PropertyBytes& user(std::string_view name, std::string_view value) {
        text(0x26, name);
        append_text(bytes, value);
        return *this;
    }

  private:
    PropertyBytes& text(std::uint8_t id, std::string_view value) {
        bytes.push_back(id);
        append_text(bytes, value);
        return *this;
    }
};

}  // namespace sluice::test
