#pragma once
/// Bytes to packets: pure, total functions over the body of one packet (all behind the fixed header). Any
/// input gives a packet or a WireError.
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/packets.hpp"

namespace sluice::wire {

/// CONNECT tells its own version; the caller uses it for all that follows on the connection. The flags of the
/// fixed header are checked by FrameReader.
Result<Connect, WireError> decode_connect(Bytes body);
/// The version that the body of a CONNECT claims, when it is one of ours: for the CONNACK that answers a
/// CONNECT which decode_connect refused.
std::optional<Version> peek_version(Bytes body);
Result<Connack, WireError> decode_connack(Version version, Bytes body);
/// `flags`: the low four bits of the fixed header. `scratch` is cleared and may hold `forward_properties` of
/// the result: keep it alive as long as that. Checked here: UTF-8, no wildcard in the topic, packet id not 0,
/// QoS not 3, DUP 0 at QoS 0, properties allowed here and not repeated, alias not 0.
Result<Publish, WireError> decode_publish(Version version, std::uint8_t flags, Bytes body,
                                          ByteBuffer& scratch);
/// PUBACK, PUBREC, PUBREL, PUBCOMP; `type` decides which reason codes are legal.
Result<Ack, WireError> decode_ack(Version version, PacketType type, Bytes body);
/// Filters are checked for UTF-8 only; `topic.hpp` judges their form, so that SUBACK can answer filter by
/// filter.
Result<Subscribe, WireError> decode_subscribe(Version version, Bytes body);
Result<Suback, WireError> decode_suback(Version version, Bytes body);
Result<Unsubscribe, WireError> decode_unsubscribe(Version version, Bytes body);
Result<Unsuback, WireError> decode_unsuback(Version version, Bytes body);
Result<Disconnect, WireError> decode_disconnect(Version version, Bytes body);
Result<Auth, WireError> decode_auth(Version version, Bytes body);

/// Decodes a run of properties as `Publish::forward_properties` holds them (no length in front), e.g. to map
/// them to upstream headers.
Result<Properties, WireError> decode_publish_properties(Bytes properties);

}  // namespace sluice::wire
