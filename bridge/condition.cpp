#include "bridge/condition.hpp"

#include <charconv>
#include <cmath>
#include <compare>
#include <nlohmann/json.hpp>
#include <optional>

namespace sluice::bridge {

struct ConditionInput::Json {
    nlohmann::json document;  ///< discarded when the payload is no JSON
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

}  // namespace

ConditionInput::ConditionInput(const core::Message& message) : view_(message) {}
ConditionInput::~ConditionInput() = default;

const ConditionInput::Json& ConditionInput::json() const {
    if (json_) return *json_;
    json_ = std::make_unique<Json>();
    json_->document = nlohmann::json(nlohmann::json::value_t::discarded);
    const std::string_view payload = as_text(view_.message().payload());
    if (nests_too_deep(payload)) return *json_;
    try {
        json_->document = nlohmann::json::parse(payload.begin(), payload.end(), nullptr, false);
    } catch (const std::exception&) {  // numbers out of range, no memory: a payload never ends the process
        json_->document = nlohmann::json(nlohmann::json::value_t::discarded);
    }
    return *json_;
}

namespace {

/// All of a text that reads as a finite number; nothing otherwise.
std::optional<double> as_number(std::string_view text) {
    double number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || stop != text.data() + text.size() || !std::isfinite(number)) return {};
    return number;
}

}  // namespace

bool Condition::matches(const ConditionInput& input) const {
    return !nodes_.empty() && test(static_cast<std::uint32_t>(nodes_.size() - 1), input);
}

bool Condition::test(std::uint32_t at, const ConditionInput& input) const {
    const Node& node = nodes_[at];
    switch (node.op) {
        case Op::both:
            return test(node.left, input) && test(node.right, input);
        case Op::either:
            return test(node.left, input) || test(node.right, input);
        case Op::negate:
            return !test(node.left, input);
        case Op::exists:
            return read(operands_[node.left], input).kind != Kind::missing;
        case Op::holds: {
            const Value value = read(operands_[node.left], input);
            return value.kind == Kind::boolean && value.boolean;
        }
        default:
            return compare(node.op, read(operands_[node.left], input), read(operands_[node.right], input));
    }
}

Condition::Value Condition::read(const Operand& operand, const ConditionInput& input) const {
    const MessageView& view = input.view();
    const core::Message& message = view.message();
    std::optional<std::string_view> text;
    Value value;
    switch (operand.source) {
        case Source::literal:
            value = operand.literal;
            value.text = operand.name;
            return value;
        case Source::qos:
            value.kind = Kind::integer;
            value.integer = static_cast<std::int64_t>(message.qos());
            return value;
        case Source::retain:
            value.kind = Kind::boolean;
            value.boolean = message.retain();
            return value;
        case Source::json:
            return read_json(operand, input);
        case Source::topic:
            text = message.topic();
            break;
        case Source::topic_level:
            text = view.topic_level(operand.level);
            break;
        case Source::client_id:
            text = message.client_id();
            break;
        case Source::user_name:
            if (!message.user_name().empty()) text = message.user_name();
            break;
        case Source::property:
            text = view.user_property(operand.name);
            break;
        case Source::payload:
            text = as_text(message.payload());
            break;
    }
    if (!text) return value;
    value.kind = Kind::text;
    value.loose = true;
    value.text = *text;
    return value;
}

Condition::Value Condition::read_json(const Operand& operand, const ConditionInput& input) {
    const nlohmann::json* at = &input.json().document;
    Value value;
    for (const Step& step : operand.path) {
        if (step.is_index) {
            if (!at->is_array() || step.index >= at->size()) return value;
            at = &(*at)[step.index];
        } else {
            if (!at->is_object()) return value;
            const auto found = at->find(step.key);
            if (found == at->end()) return value;
            at = &*found;
        }
    }
    switch (at->type()) {
        case nlohmann::json::value_t::null:
            value.kind = Kind::null;
            break;
        case nlohmann::json::value_t::object:
        case nlohmann::json::value_t::array:
            value.kind = Kind::structure;
            break;
        case nlohmann::json::value_t::boolean:
            value.kind = Kind::boolean;
            value.boolean = at->get<bool>();
            break;
        case nlohmann::json::value_t::number_unsigned:
            if (at->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
                value.kind = Kind::real;
                value.real = at->get<double>();
                break;
            }
            [[fallthrough]];
        case nlohmann::json::value_t::number_integer:
            value.kind = Kind::integer;
            value.integer = at->get<std::int64_t>();
            break;
        case nlohmann::json::value_t::number_float:
            value.kind = Kind::real;
            value.real = at->get<double>();
            break;
        case nlohmann::json::value_t::string:
            value.kind = Kind::text;
            value.text = at->get_ref<const std::string&>();
            break;
        default:
            break;
    }
    return value;
}

bool Condition::compare(Op op, const Value& left, const Value& right) {
    if (left.kind == Kind::missing || right.kind == Kind::missing) return false;
    const auto is_number = [](const Value& v) { return v.kind == Kind::integer || v.kind == Kind::real; };
    const auto number_of = [&](const Value& v) -> std::optional<double> {
        if (v.kind == Kind::integer) return static_cast<double>(v.integer);
        if (v.kind == Kind::real) return v.real;
        return v.kind == Kind::text && v.loose ? as_number(v.text) : std::nullopt;
    };
    std::partial_ordering order = std::partial_ordering::unordered;
    if (left.kind == Kind::integer && right.kind == Kind::integer) {
        order = left.integer <=> right.integer;
    } else if (is_number(left) || is_number(right)) {
        const auto a = number_of(left), b = number_of(right);
        if (a && b) order = *a <=> *b;
    } else if (left.kind == Kind::text && right.kind == Kind::text) {
        order = left.text.compare(right.text) <=> 0;
    } else if (left.kind == right.kind && left.kind != Kind::structure && left.boolean == right.boolean) {
        if (op == Op::eq || op == Op::ne) return op == Op::eq;  // booleans and nulls have no order
    }
    switch (op) {
        case Op::eq:
            return order == 0;
        case Op::ne:
            return order != 0;
        case Op::lt:
            return order < 0;
        case Op::le:
            return order <= 0;
        case Op::gt:
            return order > 0;
        default:
            return order >= 0;
    }
}

}  // namespace sluice::bridge
