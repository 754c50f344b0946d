#include "listener/admission.hpp"

#include <algorithm>
#include <random>

#include "wire/encode.hpp"
#include "wire/topic.hpp"

namespace sluice::listener {

using wire::ReasonCode;
using wire::Version;

namespace {

// Sessions of bridges are kept under this prefix; a client that took such a name would empty their spools.
constexpr std::string_view reserved_prefix = "$bridge/";

std::uint32_t wanted_expiry_s(const wire::Connect& connect) {
    if (connect.version == Version::v5)
        return connect.properties.session_expiry_interval_s.value_or(0);  // [MQTT5 3.1.2.11.2]
    return connect.clean_start ? 0 : UINT32_MAX;
}

/// Null when it may be published to [MQTT5 table 3-1, 0x90].
const char* refuse_will_topic(std::string_view topic, const shard::Limits& limits) {
    if (topic.starts_with(shard::sys_prefix)) return "its will is for a topic below $SYS/";
    if (topic.size() > limits.topic_bytes_max) return "the topic of its will exceeds limits.topic_bytes_max";
    if (wire::level_count(topic) > limits.topic_levels_max)
        return "the topic of its will exceeds limits.topic_levels_max";
    return nullptr;
}

}  // namespace

Result<shard::Admission, ConnectRefusal> judge_connect(const wire::Connect& connect,
                                                       const shard::Limits& limits, std::string assigned_id) {
    shard::Admission admission;
    const wire::Properties& p = connect.properties;
    admission.version = connect.version;
    admission.clean_start = connect.clean_start;
    admission.client_id = connect.client_id;
    if (connect.client_id.empty()) {
        if (connect.version != Version::v5 && !connect.clean_start) {  // [MQTT-3.1.3-8 of 3.1.1]
            return Err{ConnectRefusal{ReasonCode::client_identifier_not_valid,
                                      "no client id, but a session to keep"}};
        }
        admission.client_id = std::move(assigned_id);
        admission.client_id_assigned = true;
    } else if (connect.client_id.starts_with(reserved_prefix)) {
        return Err{ConnectRefusal{ReasonCode::client_identifier_not_valid,
                                  "client ids in $bridge/ are the broker's own"}};
    }
    if (p.authentication_method) admission.authentication_method = *p.authentication_method;
    if (connect.will) {
        if (const char* why = refuse_will_topic(connect.will->topic, limits))
            return Err{ConnectRefusal{ReasonCode::topic_name_invalid, why}};
    }
    if (connect.will && connect.will->properties.payload_format_indicator == 1 &&
        !wire::is_utf8(as_text(connect.will->payload))) {  // [MQTT5 3.1.3.2.3]
        return Err{ConnectRefusal{ReasonCode::payload_format_invalid,
                                  "the will is not the UTF-8 that its format indicator says"}};
    }
    const std::uint32_t wanted = wanted_expiry_s(connect);
    admission.session_expiry_interval_s =
        std::min(wanted, static_cast<std::uint32_t>(limits.session_expiry_max.count()));
    admission.session_expiry_changed = admission.session_expiry_interval_s != wanted;
    admission.keep_alive_s = connect.keep_alive_s;
    admission.receive_maximum = p.receive_maximum.value_or(65535);
    admission.maximum_packet_size = p.maximum_packet_size.value_or(UINT32_MAX);
    admission.topic_alias_maximum = p.topic_alias_maximum.value_or(0);
    admission.request_problem_information = p.request_problem_information.value_or(true);
    return admission;
}

core::MessagePtr freeze_will(const wire::Will& will, std::string_view client_id, std::string_view user_name,
                             WallTime now) {
    wire::Properties forwarded = will.properties;
    forwarded.will_delay_interval_s.reset();
    forwarded.message_expiry_interval_s.reset();  // the message carries it itself
    ByteBuffer run;
    wire::encode_property_run(run, forwarded);
    return core::Message::freeze({.topic = will.topic,
                                  .properties = run,
                                  .payload = will.payload,
                                  .qos = will.qos,
                                  .retain = will.retain,
                                  .client_id = client_id,
                                  .user_name = user_name,
                                  .received = now,
                                  .expiry_interval_s = will.properties.message_expiry_interval_s});
}

std::string make_client_id() {
    static constexpr std::string_view letters =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    thread_local std::random_device random;
    std::uniform_int_distribution<std::size_t> pick(0, letters.size() - 1);
    std::string id = "sluice-";
    for (int i = 0; i < 22; ++i) id += letters[pick(random)];
    return id;
}

}  // namespace sluice::listener
