#pragma once
/// FrameReader cuts a byte stream into whole packets and refuses what can be refused from the fixed header
/// alone.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/packets.hpp"

namespace sluice::wire {

struct Frame {
    PacketType type;
    std::uint8_t flags;      ///< low four bits of the first byte
    Bytes body;              ///< borrowed: valid until the bytes it was cut from move
    std::size_t size_bytes;  ///< of the whole packet
};

/// Looks at the front of `input`. A frame when a whole packet is there, nullopt when more bytes are needed,
/// WireError when the stream is broken: reserved type or flags [MQTT-2.1.3-1], remaining length over four
/// bytes or longer than it need be [MQTT-1.5.5-1], a ping with a body, or a packet larger than
/// `packet_bytes_max` (packet_too_large; known as soon as the fixed header is there). Before CONNECT has told
/// the version, version 5 is right for all.
Result<std::optional<Frame>, WireError> cut_frame(Bytes input, std::size_t packet_bytes_max,
                                                  Version version = Version::v5);

/// Keeps the unfinished tail of a stream between reads; holds no memory when there is none.
class FrameReader {
  public:
    explicit FrameReader(std::size_t packet_bytes_max) { set_packet_bytes_max(packet_bytes_max); }

    /// Calls `on_frame(const Frame&) -> bool` for each whole packet in the kept tail plus `input`; false
    /// stops early (what is left is then kept). Frames in the middle of `input` are not copied. `on_frame`
    /// may call the setters below, but not feed().
    template <class OnFrame>
    Result<void, WireError> feed(Bytes input, OnFrame&& on_frame);

    /// Bytes kept so far; for accounting and for handing a connection over.
    Bytes pending() const { return pending_; }
    std::size_t packet_bytes_max() const { return packet_bytes_max_; }
    void set_packet_bytes_max(std::size_t bytes) {
        // No packet is longer than 256 MB [MQTT 2.1.4].
        packet_bytes_max_ = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX));
    }
    /// Once CONNECT has told it: AUTH exists in version 5 only, and 3.1 does not use the flags.
    void set_version(Version version) { version_ = version; }

  private:
    /// Moves bytes from the front of `input` behind the kept tail, no more than its first packet needs (one
    /// while its length is not known); returns what is left of `input`.
    Bytes top_up(Bytes input);
    std::size_t missing_bytes() const;
    void drop_front(std::size_t bytes);

    ByteBuffer pending_;
    std::uint32_t packet_bytes_max_ = 0;
    Version version_ = Version::v5;
};

template <class OnFrame>
Result<void, WireError> FrameReader::feed(Bytes input, OnFrame&& on_frame) {
    std::size_t used = 0;  // of the kept tail
    while (used < pending_.size()) {
        const auto cut = cut_frame(Bytes(pending_).subspan(used), packet_bytes_max_, version_);
        if (!cut) return Err{cut.error()};
        if (!cut->has_value()) {
            drop_front(used);
            used = 0;
            if (input.empty()) return {};
            input = top_up(input);
            continue;
        }
        const Frame& frame = **cut;
        used += frame.size_bytes;
        if (!on_frame(frame)) {
            drop_front(used);
            append(pending_, input);
            return {};
        }
    }
    drop_front(used);
    while (!input.empty()) {
        const auto cut = cut_frame(input, packet_bytes_max_, version_);
        if (!cut) return Err{cut.error()};
        if (!cut->has_value()) break;
        input = input.subspan((*cut)->size_bytes);
        if (!on_frame(**cut)) break;
    }
    append(pending_, input);
    return {};
}

}  // namespace sluice::wire
