#pragma once
/// Condition: the `when` of a route, such as `payload.temperature > 30 and property.site == "a"`.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "bridge/message_view.hpp"

namespace sluice::bridge {

/// Grammar:
///   or      = and { "or" and }
///   and     = not { "and" not }
///   not     = "not" not | test
///   test    = "(" or ")" | "exists" "(" field ")" | operand [ op operand | "in" list ]
///   list    = "(" operand { "," operand } ")"
///   op      = "==" | "!=" | "<" | "<=" | ">" | ">="
///   operand = number | "text" | 'text' | true | false | null | field
///   field   = topic | topic[N] | client_id | user_name | qos | retain
///           | property.NAME | property["NAME"]
///           | payload | payload.NAME | payload[N] | payload["NAME"] | ... and so on inwards
///
/// Meaning: a comparison with a field that the message does not have is false, also `!=`. Values of different
/// kinds are unequal and not ordered, except that text which MQTT itself carries (topic levels, properties,
/// the payload as a whole) counts as a number beside a number when all of it reads as one. An operand alone
/// is true when it is the boolean true.
class Condition {
  public:
    /// The error names column (from 1) and expectation.
    static Result<Condition, std::string> parse(std::string_view text);

    bool matches(const MessageView& view) const;
    bool matches(const core::Message& message) const { return matches(MessageView(message)); }
    /// Whether it ever looks into the payload.
    bool reads_json() const { return reads_json_; }

  private:
    friend class ConditionParser;

    enum class Source : std::uint8_t {
        literal,
        topic,
        topic_level,
        client_id,
        user_name,
        qos,
        retain,
        property,
        payload,
        json
    };
    using Kind = JsonValue::Kind;  ///< a structure is there, and equal to nothing
    enum class Op : std::uint8_t { both, either, negate, exists, holds, eq, ne, lt, le, gt, ge };

    struct Value : JsonValue {
        bool loose = false;  ///< text from MQTT: may stand for a number
    };
    struct Operand {
        Source source = Source::literal;
        Value literal;          ///< its text is in `name`
        std::string name;       ///< property
        std::size_t level = 0;  ///< topic level
        JsonPath path;          ///< json
    };
    /// Nodes lie in one vector, children before their parents; the last one is the root.
    struct Node {
        Op op = Op::holds;
        std::uint32_t left = 0, right = 0;  ///< nodes (both, either, negate) or operands (the others)
    };

    bool test(std::uint32_t node, const MessageView& view) const;
    static Value read(const Operand& operand, const MessageView& view);
    static bool compare(Op op, const Value& left, const Value& right);

    std::vector<Node> nodes_;
    std::vector<Operand> operands_;
    bool reads_json_ = false;
};

}  // namespace sluice::bridge
