#include "core/message.hpp"

#include <cstring>
#include <new>

namespace sluice::core {
namespace {

// The head of a body, big-endian, so that a store can move between machines:
//   0 format version   1 flags (bits 0-1 QoS, bit 2 retain, bit 3 has expiry)   2 expiry interval s (u32)
//   6 received, ms since 1970 (u64)   14 topic bytes (u16)   16 client id bytes (u16)   18 user name bytes
//   (u16) 20 property bytes (u32)   24 topic, properties, client id, user name, payload (the rest)
constexpr std::uint8_t format_version = 1;
constexpr std::size_t head_bytes = 24;
constexpr std::uint8_t flag_retain = 4, flag_expiry = 8;

void put_u16(std::uint8_t* at, std::size_t v) {
    at[0] = static_cast<std::uint8_t>(v >> 8);
    at[1] = static_cast<std::uint8_t>(v);
}
void put_u32(std::uint8_t* at, std::size_t v) {
    put_u16(at, v >> 16);
    put_u16(at + 2, v & 0xffff);
}
std::uint8_t* put(std::uint8_t* at, Bytes bytes) {
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    return at + bytes.size();
}

std::size_t topic_bytes(const std::uint8_t* b) {
    return read_u16(b + 14);
}
std::size_t client_bytes(const std::uint8_t* b) {
    return read_u16(b + 16);
}
std::size_t user_bytes(const std::uint8_t* b) {
    return read_u16(b + 18);
}
std::size_t property_bytes(const std::uint8_t* b) {
    return read_u32(b + 20);
}

}  // namespace

Message* Message::allocate(std::size_t body_bytes) {
    void* memory = ::operator new(sizeof(Message) + body_bytes);
    return new (memory) Message(static_cast<std::uint32_t>(body_bytes));
}

void Message::destroy(const Message* message) {
    message->~Message();
    ::operator delete(const_cast<Message*>(message));
}

RefPtr<const Message> Message::freeze(const Fields& f) {
    CHECK(f.topic.size() <= 65535 && f.client_id.size() <= 65535 && f.user_name.size() <= 65535);
    const std::size_t total = head_bytes + f.topic.size() + f.properties.size() + f.client_id.size() +
                              f.user_name.size() + f.payload.size();
    CHECK(total <= UINT32_MAX);
    Message* message = allocate(total);
    std::uint8_t* b = message->body_begin();
    b[0] = format_version;
    b[1] = static_cast<std::uint8_t>(static_cast<unsigned>(f.qos) | (f.retain ? flag_retain : 0U) |
                                     (f.expiry_interval_s ? flag_expiry : 0U));
    put_u32(b + 2, f.expiry_interval_s.value_or(0));
    const auto received = static_cast<std::uint64_t>(f.received.time_since_epoch().count());
    put_u32(b + 6, received >> 32);
    put_u32(b + 10, received & 0xffffffffU);
    put_u16(b + 14, f.topic.size());
    put_u16(b + 16, f.client_id.size());
    put_u16(b + 18, f.user_name.size());
    put_u32(b + 20, f.properties.size());
    std::uint8_t* at = put(b + head_bytes, as_bytes(f.topic));
    at = put(at, f.properties);
    at = put(at, as_bytes(f.client_id));
    at = put(at, as_bytes(f.user_name));
    put(at, f.payload);
    return RefPtr<const Message>(message);
}

RefPtr<const Message> Message::from_body(Bytes body) {
    if (body.size() < head_bytes || body.size() > UINT32_MAX || body[0] != format_version) return {};
    if ((body[1] & 3) == 3) return {};
    const std::uint8_t* b = body.data();
    if (head_bytes + topic_bytes(b) + client_bytes(b) + user_bytes(b) + property_bytes(b) > body.size())
        return {};
    Message* message = allocate(body.size());
    std::memcpy(message->body_begin(), body.data(), body.size());
    return RefPtr<const Message>(message);
}

std::string_view Message::topic() const {
    const auto* b = body_begin();
    return as_text({b + head_bytes, topic_bytes(b)});
}
Bytes Message::properties() const {
    const auto* b = body_begin();
    return {b + head_bytes + topic_bytes(b), property_bytes(b)};
}
std::string_view Message::client_id() const {
    const auto* b = body_begin();
    return as_text({b + head_bytes + topic_bytes(b) + property_bytes(b), client_bytes(b)});
}
std::string_view Message::user_name() const {
    const auto* b = body_begin();
    return as_text({b + head_bytes + topic_bytes(b) + property_bytes(b) + client_bytes(b), user_bytes(b)});
}
Bytes Message::payload() const {
    const auto* b = body_begin();
    const std::size_t before =
        head_bytes + topic_bytes(b) + property_bytes(b) + client_bytes(b) + user_bytes(b);
    return {b + before, body_bytes_ - before};
}
wire::QoS Message::qos() const {
    return static_cast<wire::QoS>(body_begin()[1] & 3);
}
bool Message::retain() const {
    return (body_begin()[1] & flag_retain) != 0;
}
WallTime Message::received() const {
    return WallTime(Millis(static_cast<std::int64_t>(read_u64(body_begin() + 6))));
}
std::optional<std::uint32_t> Message::expiry_interval_s() const {
    if ((body_begin()[1] & flag_expiry) == 0) return std::nullopt;
    return read_u32(body_begin() + 2);
}

bool Message::expired(WallTime now) const {
    const auto interval = expiry_interval_s();
    return interval && age_of(received(), now) >= std::chrono::seconds(*interval);
}

std::optional<std::uint32_t> Message::remaining_expiry_s(WallTime now) const {
    const auto interval = expiry_interval_s();
    if (!interval) return std::nullopt;
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(age_of(received(), now)).count();
    if (passed <= 0) return interval;
    return passed >= *interval ? 1U : static_cast<std::uint32_t>(*interval - passed);
}

}  // namespace sluice::core
