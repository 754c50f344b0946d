#include "bridge/payload_json.hpp"

#include <nlohmann/json.hpp>

namespace sluice::bridge {

struct PayloadJson::Document {
    nlohmann::json root;  ///< discarded when the payload is no JSON
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

PayloadJson::PayloadJson(std::string_view payload) : document_(std::make_unique<Document>()) {
    document_->root = nlohmann::json(nlohmann::json::value_t::discarded);
    if (nests_too_deep(payload)) return;
    try {
        document_->root = nlohmann::json::parse(payload.begin(), payload.end(), nullptr, false);
    } catch (const std::exception&) {  // numbers out of range, no memory: a payload never ends the process
        document_->root = nlohmann::json(nlohmann::json::value_t::discarded);
    }
}

PayloadJson::~PayloadJson() = default;

bool PayloadJson::valid() const {
    return !document_->root.is_discarded();
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
