#pragma once
/// Message: a frozen PUBLISH. One allocation, immutable, shared by all receivers and threads.
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ref_ptr.hpp"
#include "base/result.hpp"
#include "wire/packets.hpp"

namespace sluice::core {

/// The object is followed by its body: a small fixed head, topic, property run, client id, user name,
/// payload. The body is also what the store keeps, so writing and reading a message is one copy.
class Message final : public RefCounted<Message> {
  public:
    struct Fields {
        std::string_view topic;  ///< complete: aliases are resolved before a message is frozen
        Bytes properties;        ///< as wire::Publish::forward_properties; no expiry, alias or subscription
                                 ///< identifiers
        Bytes payload;
        wire::QoS qos = wire::QoS::at_most_once;  ///< as published
        bool retain = false;                      ///< as published
        std::string_view client_id;               ///< of the publisher; empty for the broker's own
        std::string_view user_name;               ///< of the publisher; empty when anonymous
        WallTime received{};                      ///< when the broker took it in
        std::optional<std::uint32_t> expiry_interval_s;
    };

    /// Copies the fields into one new allocation. Sizes: topic, client id and user name up to 65535 bytes
    /// (MQTT's own limits).
    static RefPtr<const Message> freeze(const Fields& fields);
    /// From bytes as `body()` gave them (another process run may have written them); nullptr when they are
    /// not such bytes.
    static RefPtr<const Message> from_body(Bytes body);

    std::string_view topic() const;
    Bytes properties() const;
    Bytes payload() const;
    std::string_view client_id() const;
    std::string_view user_name() const;
    wire::QoS qos() const;
    bool retain() const;
    WallTime received() const;
    std::optional<std::uint32_t> expiry_interval_s() const;

    /// Nothing left of its expiry interval [MQTT-3.3.2-5].
    bool expired(WallTime now) const;
    /// The expiry interval to announce to a receiver: what is left, at least 1 [MQTT-3.3.2-6].
    std::optional<std::uint32_t> remaining_expiry_s(WallTime now) const;

    /// The whole as one run of bytes (format version in its first byte).
    Bytes body() const { return {body_begin(), body_bytes_}; }
    /// What it costs in memory.
    std::size_t footprint_bytes() const { return sizeof(Message) + body_bytes_; }

    static void destroy(const Message* message);

  private:
    explicit Message(std::uint32_t body_bytes) : body_bytes_(body_bytes) {}
    ~Message() = default;
    const std::uint8_t* body_begin() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
    std::uint8_t* body_begin() { return reinterpret_cast<std::uint8_t*>(this + 1); }
    static Message* allocate(std::size_t body_bytes);

    std::uint32_t body_bytes_;
};

using MessagePtr = RefPtr<const Message>;

}  // namespace sluice::core
