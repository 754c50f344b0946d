#include "bridge/payload_json.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <tuple>

namespace sluice::bridge {

struct PayloadJson::Document {
    nlohmann::json root = nlohmann::json::value_t::discarded;  ///< and so it stays when there is a problem
};

namespace {

constexpr int json_depth_max = 128;

/// Whether a payload nests deeper than anything that is meant: a megabyte of '[' would cost 50 of memory.
bool nests_too_deep(std::string_view json) {
    int depth = 0;
    bool in_text = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_text) {
            if (c == '\\') ++i;
            if (c == '"') in_text = false;
        } else if (c == '"') {
            in_text = true;
        } else if (c == '[' || c == '{') {
            if (++depth > json_depth_max) return true;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return false;
}

/// nullptr when there is nothing at the path.
const nlohmann::json* follow(const nlohmann::json& root, const JsonPath& path) {
    const nlohmann::json* at = &root;
    for (const JsonStep& step : path) {
        if (step.is_index) {
            if (!at->is_array() || step.index >= at->size()) return nullptr;
            at = &(*at)[step.index];
        } else {
            if (!at->is_object()) return nullptr;
            const auto found = at->find(step.key);
            if (found == at->end()) return nullptr;
            at = &*found;
        }
    }
    return at;
}

}  // namespace

PayloadJson::PayloadJson(std::string_view payload)
    : payload_(payload), document_(std::make_unique<Document>()) {
    if (nests_too_deep(payload)) return;
    try {
        document_->root = nlohmann::json::parse(payload.begin(), payload.end(), nullptr, false);
    } catch (const std::exception&) {  // no memory: a payload never ends the process
        document_->root = nlohmann::json(nlohmann::json::value_t::discarded);
    }
}

PayloadJson::~PayloadJson() = default;

/// Reads once more, for the reason: most payloads are never asked for it, and exceptions are slow.
std::string PayloadJson::problem() const {
    if (!document_->root.is_discarded()) return {};
    if (nests_too_deep(payload_)) return fmt::format("nests deeper than {}", json_depth_max);
    try {
        std::ignore = nlohmann::json::parse(payload_.begin(), payload_.end());
    } catch (const nlohmann::json::out_of_range&) {
        return "has a number out of range";
    } catch (const nlohmann::json::parse_error&) {
        return "is no JSON";
    } catch (const std::exception&) {  // falls through
    }
    return "cannot be read";
}

JsonValue PayloadJson::find(const JsonPath& path) const {
    JsonValue value;
    const nlohmann::json* at = follow(document_->root, path);
    if (!at) return value;
    switch (at->type()) {
        case nlohmann::json::value_t::null:
            value.kind = JsonValue::Kind::null;
            break;
        case nlohmann::json::value_t::object:
        case nlohmann::json::value_t::array:
            value.kind = JsonValue::Kind::structure;
            break;
        case nlohmann::json::value_t::boolean:
            value.kind = JsonValue::Kind::boolean;
            value.boolean = at->get<bool>();
            break;
        case nlohmann::json::value_t::number_unsigned:
            if (at->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
                value.kind = JsonValue::Kind::real;
                value.real = at->get<double>();
                value.large = at->get<std::uint64_t>();
                break;
            }
            [[fallthrough]];
        case nlohmann::json::value_t::number_integer:
            value.kind = JsonValue::Kind::integer;
            value.integer = at->get<std::int64_t>();
            break;
        case nlohmann::json::value_t::number_float:
            value.kind = JsonValue::Kind::real;
            value.real = at->get<double>();
            break;
        case nlohmann::json::value_t::string:
            value.kind = JsonValue::Kind::text;
            value.text = at->get_ref<const std::string&>();
            break;
        default:
            break;
    }
    return value;
}

}  // namespace sluice::bridge
