#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "bridge/condition.hpp"

namespace sluice::bridge {
namespace {

constexpr std::size_t depth_max = 64;  ///< of parentheses and "not"; evaluation recurses as deep
constexpr std::size_t nodes_max = 1000;
constexpr std::size_t path_steps_max = 64;

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
/// '-' too: there is no arithmetic that it could be mistaken for, and properties are often named so.
bool is_name_char(char c) {
    return is_name_start(c) || is_digit(c) || c == '-';
}

}  // namespace

/// Recursive descent over the text; the first mistake ends it.
class ConditionParser {
  public:
    explicit ConditionParser(std::string_view text) : text_(text) {}

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
        if (!error_) error_ = fmt::format("column {}: {}", at + 1, what);
        return std::nullopt;
    }

    char peek() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool take(char c) {
        if (peek() != c || at_ >= text_.size()) return false;
        ++at_;
        return true;
    }
    std::string_view peek_word() {
        if (!is_name_start(peek())) return {};
        std::size_t end = at_;
        while (end < text_.size() && is_name_char(text_[end])) ++end;
        return text_.substr(at_, end - at_);
    }
    bool take_word(std::string_view word) {
        if (peek_word() != word) return false;
        at_ += word.size();
        return true;
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
        const auto op = parse_op();
        if (error_) return std::nullopt;
        if (!op) return add_node(Op::holds, left_at, 0);
        auto right = parse_operand();
        if (!right) return std::nullopt;
        return add_node(*op, left_at, add_operand(std::move(*right)));
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

    /// Text in quotes of either kind; a backslash takes the next character as it is.
    std::optional<std::string> parse_quoted() {
        const char quote = text_[at_];
        const std::size_t begin = at_++;
        std::string text;
        for (; at_ < text_.size(); ++at_) {
            if (text_[at_] == quote) {
                ++at_;
                return text;
            }
            if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
            text += text_[at_];
        }
        fail_at(begin, fmt::format("the text is not closed; expected {}", quote));
        return std::nullopt;
    }

    std::optional<Operand> parse_text_literal() {
        auto text = parse_quoted();
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
        const auto level = parse_index();
        if (!level) return std::nullopt;
        operand.level = *level;
        return operand;
    }

    /// Behind '[': a number and ']'.
    std::optional<std::size_t> parse_index() {
        peek();
        std::size_t index = 0;
        const char* last = text_.data() + text_.size();
        const auto [stop, error] = std::from_chars(text_.data() + at_, last, index);
        if (error != std::errc{} || index > UINT32_MAX) {
            fail("expected a number from 0");
            return std::nullopt;
        }
        at_ = static_cast<std::size_t>(stop - text_.data());
        if (!take(']')) {
            fail("expected ']'");
            return std::nullopt;
        }
        return index;
    }

    /// Behind '.'.
    std::optional<std::string> parse_name() {
        std::size_t end = at_;
        while (end < text_.size() && is_name_char(text_[end])) ++end;
        if (end == at_) {
            fail("expected a name of letters, digits, '_' and '-'; write [\"...\"] for any other");
            return std::nullopt;
        }
        std::string name(text_.substr(at_, end - at_));
        at_ = end;
        return name;
    }
    std::optional<std::string> parse_bracket_name() {
        auto name = parse_quoted();
        if (!name) return std::nullopt;
        if (take(']')) return name;
        fail("expected ']'");
        return std::nullopt;
    }

    std::optional<Operand> parse_property() {
        Operand operand = field(Source::property);
        std::optional<std::string> name;
        if (at_ < text_.size() && text_[at_] == '.') {
            ++at_;
            name = parse_name();
        } else if (take('[') && (peek() == '"' || peek() == '\'')) {
            name = parse_bracket_name();
        } else {
            fail("expected property.NAME or property[\"NAME\"]");
        }
        if (!name) return std::nullopt;
        operand.name = std::move(*name);
        return operand;
    }

    std::optional<Operand> parse_payload() {
        Operand operand = field(Source::payload);
        while (at_ < text_.size() && (text_[at_] == '.' || text_[at_] == '[')) {
            operand.source = Source::json;
            if (operand.path.size() >= path_steps_max) {
                fail(fmt::format("the path is too deep; expected at most {} steps", path_steps_max));
                return std::nullopt;
            }
            if (!parse_step(operand.path.emplace_back())) return std::nullopt;
        }
        return operand;
    }

    bool parse_step(Condition::Step& step) {
        std::optional<std::string> name;
        if (text_[at_++] == '.') {
            name = parse_name();
        } else if (peek() == '"' || peek() == '\'') {
            name = parse_bracket_name();
        } else {
            const auto index = parse_index();
            step.is_index = true;
            step.index = index.value_or(0);
            return index.has_value();
        }
        if (name) step.key = std::move(*name);
        return name.has_value();
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t depth_ = 0;
    std::optional<std::string> error_;
    Condition result_;
};

Result<Condition, std::string> Condition::parse(std::string_view text) {
    return ConditionParser(text).parse();
}

}  // namespace sluice::bridge
