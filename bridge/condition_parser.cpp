#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "bridge/condition.hpp"
#include "bridge/field_reader.hpp"

namespace sluice::bridge {
namespace {

constexpr std::size_t depth_max = 64;  ///< of parentheses and "not"; evaluation recurses as deep
constexpr std::size_t nodes_max = 1000;

}  // namespace

/// Recursive descent over the text; the first mistake ends it.
class ConditionParser : private FieldReader {
  public:
    explicit ConditionParser(std::string_view text) : FieldReader(text) {}

    Result<Condition, std::string> parse() {
        const auto root = parse_or();
        if (root && peek() != '\0') fail("expected 'and', 'or' or the end");
        if (error_) return Err{std::move(*error_)};
        return std::move(result_);
    }

  private:
    using Op = Condition::Op;
    using Source = Condition::Source;
    using Kind = Condition::Kind;
    using Operand = Condition::Operand;
    using Ref = std::optional<std::uint32_t>;  ///< none after a mistake

    Ref fail(std::string_view what) { return fail_at(at_, what); }
    Ref fail_at(std::size_t at, std::string_view what) {
        FieldReader::fail_at(at, what);
        return std::nullopt;
    }

    Ref add_node(Op op, std::uint32_t left, std::uint32_t right) {
        if (result_.nodes_.size() >= nodes_max)
            return fail(fmt::format("the condition is too long; expected at most {} parts", nodes_max));
        result_.nodes_.push_back({op, left, right});
        return static_cast<std::uint32_t>(result_.nodes_.size() - 1);
    }
    std::uint32_t add_operand(Operand operand) {
        if (operand.source == Source::json) result_.reads_json_ = true;
        result_.operands_.push_back(std::move(operand));
        return static_cast<std::uint32_t>(result_.operands_.size() - 1);
    }

    /// A chain is a balanced-enough left-leaning tree; its depth counts too, as evaluation recurses.
    Ref parse_or() {
        auto left = parse_and();
        for (std::size_t links = 0; left && take_word("or");) {
            if (++links + depth_ > depth_max) return too_deep();
            const auto right = parse_and();
            left = right ? add_node(Op::either, *left, *right) : std::nullopt;
        }
        return left;
    }
    Ref parse_and() {
        auto left = parse_not();
        for (std::size_t links = 0; left && take_word("and");) {
            if (++links + depth_ > depth_max) return too_deep();
            const auto right = parse_not();
            left = right ? add_node(Op::both, *left, *right) : std::nullopt;
        }
        return left;
    }
    Ref too_deep() {
        return fail(fmt::format("the condition is too deep; expected at most {} levels or links", depth_max));
    }

    Ref parse_not() {
        if (++depth_ > depth_max) return too_deep();
        Ref node;
        if (take_word("not")) {
            const auto inner = parse_not();
            node = inner ? add_node(Op::negate, *inner, 0) : std::nullopt;
        } else {
            node = parse_test();
        }
        --depth_;
        return node;
    }

    Ref parse_test() {
        if (take('(')) {
            const auto inner = parse_or();
            if (inner && !take(')')) return fail("expected ')'");
            return inner;
        }
        if (take_word("exists")) {
            if (!take('(')) return fail("expected '(' behind exists");
            const std::size_t begin = (peek(), at_);
            auto operand = parse_operand();
            if (!operand) return std::nullopt;
            if (operand->source == Source::literal)
                return fail_at(begin, "expected a field, as in exists(payload.x)");
            if (!take(')')) return fail("expected ')'");
            return add_node(Op::exists, add_operand(std::move(*operand)), 0);
        }
        return parse_comparison();
    }

    Ref parse_comparison() {
        auto left = parse_operand();
        if (!left) return std::nullopt;
        const auto left_at = add_operand(std::move(*left));
        if (take_word("in")) return parse_list(left_at);
        const auto op = parse_op();
        if (error_) return std::nullopt;
        if (!op) return add_node(Op::holds, left_at, 0);
        auto right = parse_operand();
        if (!right) return std::nullopt;
        return add_node(*op, left_at, add_operand(std::move(*right)));
    }

    /// Behind "in": equal to one of them.
    Ref parse_list(std::uint32_t left_at) {
        if (!take('(')) return fail("expected '(' behind in");
        Ref node;
        for (std::size_t links = 0; !node || take(',');) {
            if (++links + depth_ > depth_max) return too_deep();
            auto right = parse_operand();
            if (!right) return std::nullopt;
            const auto equal = add_node(Op::eq, left_at, add_operand(std::move(*right)));
            if (!equal) return std::nullopt;
            node = node ? add_node(Op::either, *node, *equal) : equal;
            if (!node) return std::nullopt;
        }
        if (!take(')')) return fail("expected ',' or ')'");
        return node;
    }

    std::optional<Op> parse_op() {
        const char c = peek();
        const bool equals = text_.substr(at_).substr(0, 2).ends_with('=') && at_ + 1 < text_.size();
        if (c == '<' || c == '>') {
            at_ += equals ? 2 : 1;
            if (c == '<') return equals ? Op::le : Op::lt;
            return equals ? Op::ge : Op::gt;
        }
        if (c != '=' && c != '!') return std::nullopt;
        if (!equals) {
            fail("expected ==, !=, <, <=, > or >=");
            return std::nullopt;
        }
        at_ += 2;
        return c == '=' ? Op::eq : Op::ne;
    }

    std::optional<Operand> parse_operand() {
        const char c = peek();
        if (c == '"' || c == '\'') return parse_text_literal();
        if (is_digit(c) || c == '-' || c == '+' || c == '.') return parse_number();
        const std::size_t begin = at_;
        const std::string_view word = peek_word();
        at_ += word.size();
        if (word == "true" || word == "false" || word == "null") {
            Operand operand;
            operand.literal.kind = word == "null" ? Kind::null : Kind::boolean;
            operand.literal.boolean = word == "true";
            return operand;
        }
        if (word == "topic") return parse_topic();
        if (word == "client_id") return field(Source::client_id);
        if (word == "user_name") return field(Source::user_name);
        if (word == "qos") return field(Source::qos);
        if (word == "retain") return field(Source::retain);
        if (word == "property") return parse_property();
        if (word == "payload") return parse_payload();
        fail_at(
            begin,
            "expected a number, a text in quotes, true, false, null, or one of topic, topic[N], client_id, "
            "user_name, qos, retain, property.NAME, payload, payload.NAME");
        return std::nullopt;
    }

    static Operand field(Source source) {
        Operand operand;
        operand.source = source;
        return operand;
    }

    std::optional<Operand> parse_text_literal() {
        auto text = read_quoted();
        if (!text) return std::nullopt;
        Operand operand;
        operand.literal.kind = Kind::text;
        operand.name = std::move(*text);
        return operand;
    }

    std::optional<Operand> parse_number() {
        const std::size_t begin = at_;
        if (text_[at_] == '+') ++at_;
        std::size_t end = at_;
        while (end < text_.size() && (is_name_char(text_[end]) || text_[end] == '.' || text_[end] == '+'))
            ++end;
        const char* first = text_.data() + at_;
        const char* last = text_.data() + end;
        Operand operand;
        auto& value = operand.literal;
        if (const auto [stop, error] = std::from_chars(first, last, value.integer);
            error == std::errc{} && stop == last) {
            value.kind = Kind::integer;
        } else if (const auto [real_stop, real_error] = std::from_chars(first, last, value.real);
                   real_error == std::errc{} && real_stop == last && std::isfinite(value.real)) {
            value.kind = Kind::real;
        } else {
            fail_at(begin, "expected a number such as 3, -0.5 or 1e6");
            return std::nullopt;
        }
        at_ = end;
        return operand;
    }

    std::optional<Operand> parse_topic() {
        Operand operand = field(Source::topic);
        if (!take('[')) return operand;
        operand.source = Source::topic_level;
        const auto level = read_index();
        if (!level) return std::nullopt;
        operand.level = *level;
        return operand;
    }

    std::optional<Operand> parse_property() {
        Operand operand = field(Source::property);
        std::optional<std::string> name;
        if (at_char('.')) {
            ++at_;
            name = read_name();
        } else if (take('[') && (peek() == '"' || peek() == '\'')) {
            name = read_bracket_name();
        } else {
            fail("expected property.NAME or property[\"NAME\"]");
        }
        if (!name) return std::nullopt;
        operand.name = std::move(*name);
        return operand;
    }

    std::optional<Operand> parse_payload() {
        auto path = read_path();
        if (!path) return std::nullopt;
        Operand operand = field(path->empty() ? Source::payload : Source::json);
        operand.path = std::move(*path);
        return operand;
    }

    std::size_t depth_ = 0;
    Condition result_;
};

Result<Condition, std::string> Condition::parse(std::string_view text) {
    return ConditionParser(text).parse();
}

}  // namespace sluice::bridge
