#pragma once
/// Answers in JSON, and what operators see as JSON.
#include <nlohmann/json_fwd.hpp>

#include "admin/answers.hpp"
#include "shard/bridge_control.hpp"

namespace sluice::admin {

/// What upstreams tell us may be any bytes: what is not UTF-8 is replaced, never thrown.
Answer make_json(const nlohmann::json& value, unsigned status = 200);
/// A whole number without a fraction where it is one; null where JSON has no such number.
nlohmann::json number_json(double value);

/// All of a bridge: "full_in_s" and "empty_in_s" are null for never, "down" is null without that direction.
nlohmann::json bridge_json(const shard::BridgeStatus& bridge);

/// Ids are text, because they have more digits than the numbers of JavaScript and jq; times are UTC as in ISO
/// 8601, null when not known.
nlohmann::json dead_letter_json(const shard::DeadLetter& letter);
/// With "payload_base64" always, "payload_text" beside it when the payload is UTF-8, and "properties".
nlohmann::json whole_dead_letter_json(const shard::DeadLetter& letter);

}  // namespace sluice::admin
