#include "bridge/condition.hpp"

#include <charconv>
#include <cmath>
#include <compare>
#include <optional>

namespace sluice::bridge {

namespace {

/// All of a text that reads as a finite number; nothing otherwise.
std::optional<double> as_number(std::string_view text) {
    double number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || stop != text.data() + text.size() || !std::isfinite(number)) return {};
    return number;
}

}  // namespace

bool Condition::matches(const MessageView& view) const {
    return !nodes_.empty() && test(static_cast<std::uint32_t>(nodes_.size() - 1), view);
}

bool Condition::test(std::uint32_t at, const MessageView& view) const {
    const Node& node = nodes_[at];
    switch (node.op) {
        case Op::both:
            return test(node.left, view) && test(node.right, view);
        case Op::either:
            return test(node.left, view) || test(node.right, view);
        case Op::negate:
            return !test(node.left, view);
        case Op::exists:
            return read(operands_[node.left], view).kind != Kind::missing;
        case Op::holds: {
            const Value value = read(operands_[node.left], view);
            return value.kind == Kind::boolean && value.boolean;
        }
        default:
            return compare(node.op, read(operands_[node.left], view), read(operands_[node.right], view));
    }
}

Condition::Value Condition::read(const Operand& operand, const MessageView& view) {
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
            static_cast<JsonValue&>(value) = view.payload_json().find(operand.path);
            return value;
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
