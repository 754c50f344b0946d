#include "admin/json_answers.hpp"

#include <fmt/format.h>
#include <time.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "auth/crypto.hpp"
#include "base/bytes.hpp"
#include "wire/topic.hpp"

namespace sluice::admin {
namespace {

using nlohmann::json;

json time_json(WallTime time) {
    const auto second = std::chrono::floor<std::chrono::seconds>(time);
    const std::time_t clock = std::chrono::system_clock::to_time_t(second);
    std::tm utc{};
    if (time == WallTime{} || ::gmtime_r(&clock, &utc) == nullptr) return nullptr;
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                       utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (time - second).count());
}

json forecast_json(double seconds) {
    return seconds < 0 ? json(nullptr) : number_json(seconds);
}

json down_json(const shard::BridgeStatus& bridge) {
    if (!bridge.has_down) return nullptr;
    return {{"problem", bridge.down_problem}, {"received", bridge.down_received},
            {"kept", bridge.down_kept},       {"refused", bridge.down_refused},
            {"own", bridge.down_own},         {"unsettled", bridge.down_unsettled}};
}

/// A property may be bytes (Correlation Data): then it has a "value_base64" in place of its "value".
json property_json(const std::pair<std::string, std::string>& property) {
    const auto& [name, value] = property;
    if (wire::is_utf8(value)) return {{"name", name}, {"value", value}};
    return {{"name", name}, {"value_base64", auth::encode_base64(as_bytes(value))}};
}

}  // namespace

Answer make_json(const json& value, unsigned status) {
    return {status, "application/json", value.dump(2, ' ', false, json::error_handler_t::replace) + '\n'};
}

json number_json(double value) {
    constexpr double exact_max = 9007199254740992.0;  // 2^53: beyond it a double is not every integer
    if (!std::isfinite(value)) return nullptr;
    if (std::floor(value) == value && std::fabs(value) <= exact_max) return static_cast<std::int64_t>(value);
    return value;
}

json bridge_json(const shard::BridgeStatus& bridge) {
    return {{"name", bridge.name},
            {"type", bridge.type},
            {"state", shard::name_of(bridge.state)},
            {"reason", bridge.reason},
            {"in_messages", bridge.in_messages},
            {"confirmed", bridge.confirmed},
            {"refused", bridge.refused},
            {"redelivered", bridge.redelivered},
            {"retried", bridge.retried},
            {"replaced", bridge.replaced},
            {"thinned", bridge.thinned},
            {"dropped", bridge.dropped},
            {"dropped_full", bridge.dropped_full},
            {"dropped_expired", bridge.dropped_expired},
            {"dropped_other", bridge.dropped_other},
            {"dead", bridge.dead},
            {"dead_dropped", bridge.dead_dropped},
            {"spool_messages", bridge.spool_messages},
            {"spool_bytes", bridge.spool_bytes},
            {"oldest_age_s", number_json(bridge.oldest_age_s)},
            {"arrival_rate", number_json(bridge.arrival_rate)},
            {"confirm_rate", number_json(bridge.confirm_rate)},
            {"full_in_s", forecast_json(bridge.full_in_s)},
            {"empty_in_s", forecast_json(bridge.empty_in_s)},
            {"down", down_json(bridge)}};
}

json dead_letter_json(const shard::DeadLetter& letter) {
    return {{"id", std::to_string(letter.id)},
            {"bridge", letter.bridge},
            {"route", letter.route},
            {"reason", letter.reason},
            {"refused", time_json(letter.refused)},
            {"received", time_json(letter.received)},
            {"topic", letter.topic},
            {"client_id", letter.client_id},
            {"user_name", letter.user_name},
            {"qos", letter.qos},
            {"retain", letter.retain},
            {"payload_bytes", letter.payload_bytes}};
}

json whole_dead_letter_json(const shard::DeadLetter& letter) {
    json whole = dead_letter_json(letter);
    if (wire::is_utf8(letter.payload)) whole["payload_text"] = letter.payload;
    whole["payload_base64"] = auth::encode_base64(as_bytes(letter.payload));
    json& properties = whole["properties"] = json::array();
    for (const auto& property : letter.properties) properties.push_back(property_json(property));
    return whole;
}

}  // namespace sluice::admin
