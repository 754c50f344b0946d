#pragma once
#include <optional>
#include <string_view>

#include "core/message.hpp"
#include "tests/support/properties.hpp"

namespace sluice::bridge::test {

/// plant/7/telemetry from device-7 (user ann), QoS 1, with user properties site=a, limit=30, "two words"=x.
inline core::MessagePtr sample(std::string_view payload = "", std::string_view topic = "plant/7/telemetry",
                               std::optional<std::uint32_t> expiry_interval_s = {}, WallTime received = {}) {
    sluice::test::PropertyBytes properties;
    properties.user("site", "a").user("limit", "30").user("two words", "x").user("site", "second");
    core::Message::Fields fields;
    fields.topic = topic;
    fields.properties = properties.bytes;
    fields.payload = as_bytes(payload);
    fields.qos = wire::QoS::at_least_once;
    fields.retain = true;
    fields.client_id = "device-7";
    fields.user_name = "ann";
    fields.expiry_interval_s = expiry_interval_s;
    fields.received = received;
    return core::Message::freeze(fields);
}

}  // namespace sluice::bridge::test
