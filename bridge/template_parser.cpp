#include <fmt/format.h>

#include <charconv>

#include "bridge/field_reader.hpp"
#include "bridge/mapping.hpp"

namespace sluice::bridge {

/// Reads a template once, left to right.
class TemplateParser {
  public:
    TemplateParser(std::string_view text, std::optional<std::string_view> origin)
        : text_(text), origin_(origin) {}

    Result<Template, std::string> parse() {
        Template result;
        result.text_ = text_;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if ((c == '{' || c == '}') && text_.substr(at_ + 1, 1) == text_.substr(at_, 1)) {
                add_literal(result, text_.substr(at_, 1));
                at_ += 2;
            } else if (c == '}') {
                return fail(at_, "'}' without a '{'; write '}}' for a brace");
            } else if (c == '{') {
                auto part = parse_placeholder();
                if (!part) return Err{part.error()};
                if (part->field == Field::literal) {
                    add_literal(result, part->text);
                } else {
                    result.parts_.push_back(std::move(part).value());
                }
            } else {
                const auto end = std::min(text_.find_first_of("{}", at_), text_.size());
                add_literal(result, text_.substr(at_, end - at_));
                at_ = end;
            }
        }
        return result;
    }

  private:
    using Part = Template::Part;
    using Field = Template::Field;
    using Parsed = Result<Part, std::string>;

    static void add_literal(Template& to, std::string_view text) {
        if (to.parts_.empty() || to.parts_.back().field != Field::literal) to.parts_.emplace_back();
        to.parts_.back().text += text;
    }

    Err<std::string> fail(std::size_t at, std::string_view what) const {
        return Err{fmt::format("column {}: {}", at + 1, what)};
    }

    Parsed parse_placeholder() {
        const std::size_t begin = at_ + 1;
        const std::string_view rest = text_.substr(begin);
        // Quoted names may have braces and bars in them: these are not cut out first.
        if (rest.starts_with("payload.") || rest.starts_with("payload[")) return parse_payload(begin);
        if (rest.starts_with("property[")) return parse_quoted_property(begin);
        const auto end = text_.find('}', begin);
        if (end == std::string_view::npos) return not_closed(at_);
        std::string_view name = text_.substr(begin, end - begin);
        if (const auto brace = name.find('{'); brace != std::string_view::npos)
            return fail(begin + brace, "'{' inside of a placeholder; expected '}' before it");
        Part part;
        if (const auto bar = name.find('|'); bar != std::string_view::npos) {
            part.has_fallback = true;
            part.fallback = name.substr(bar + 1);
            name = name.substr(0, bar);
        }
        at_ = end + 1;
        return name_part(std::move(part), name, begin);
    }

    Parsed parse_payload(std::size_t begin) {
        FieldReader reader(text_, begin + std::string_view("payload").size());
        auto path = reader.read_path();
        if (!path) return Err{*reader.error()};
        Part part;
        part.field = Field::payload;
        part.path = std::move(*path);
        part.text = text_.substr(begin, reader.at() - begin);
        return end_placeholder(std::move(part), begin, reader.at());
    }

    Parsed parse_quoted_property(std::size_t begin) {
        FieldReader reader(text_, begin + std::string_view("property[").size());
        const char quote = reader.peek();
        if (quote != '"' && quote != '\'')
            return fail(reader.at(), "expected the property's name in quotes, as in {property[\"NAME\"]}");
        auto name = reader.read_bracket_name();
        if (!name) return Err{*reader.error()};
        Part part;
        part.field = Field::property;
        part.text = std::move(*name);
        return end_placeholder(std::move(part), begin, reader.at());
    }

    /// Behind what the placeholder names: a fallback, if there is one, and '}'.
    Parsed end_placeholder(Part part, std::size_t begin, std::size_t at) {
        if (at >= text_.size()) return not_closed(begin - 1);
        if (text_[at] == '|') {
            const auto end = text_.find_first_of("{}", at);
            if (end == std::string_view::npos) return not_closed(begin - 1);
            part.has_fallback = true;
            part.fallback = text_.substr(at + 1, end - at - 1);
            at = end;
        }
        if (text_[at] == '{') return fail(at, "'{' inside of a placeholder; expected '}' before it");
        if (text_[at] != '}') return fail(at, "expected '.', '[', '|' or '}'");
        at_ = at + 1;
        return part;
    }

    Err<std::string> not_closed(std::size_t at) const {
        return fail(at, "'{' is not closed; expected '}', or write '{{' for a brace");
    }

    Parsed name_part(Part part, std::string_view name, std::size_t begin) const {
        static constexpr std::pair<std::string_view, Field> plain[] = {
            {"topic", Field::topic}, {"client_id", Field::client_id}, {"user_name", Field::user_name},
            {"qos", Field::qos},     {"retain", Field::retain},       {"content_type", Field::content_type},
            {"date", Field::date},   {"received", Field::received},
        };
        for (const auto& [text, field] : plain) {
            if (name != text) continue;
            part.field = field;
            return part;
        }
        if (name == "origin" && origin_) {
            part.text = origin_->empty() ? part.fallback : std::string(*origin_);
            return part;  // the same for every message: a literal
        }
        if (name.starts_with("property.")) {
            part.field = Field::property;
            part.text = name.substr(9);
            if (!part.text.empty()) return part;
            return fail(begin + 9, "the property has no name; expected {property.NAME}");
        }
        if (name.starts_with("topic[")) {
            const std::string_view digits = name.substr(6);
            const auto* last = digits.data() + digits.size();
            const auto [stop, error] = std::from_chars(digits.data(), last, part.level);
            if (error != std::errc{} || stop + 1 != last || *stop != ']' || part.level > 65535)
                return fail(begin + 6, "bad topic level; expected a number from 0 and ']', as in {topic[1]}");
            part.field = Field::topic_level;
            return part;
        }
        return fail(begin, fmt::format("unknown placeholder '{}'; expected topic, topic[N], client_id, "
                                       "user_name, qos, retain, content_type, date, received, {}"
                                       "property.NAME or payload.NAME",
                                       name, origin_ ? "origin, " : ""));
    }

    std::string_view text_;
    std::optional<std::string_view> origin_;
    std::size_t at_ = 0;
};

Result<Template, std::string> Template::parse(std::string_view text, std::optional<std::string_view> origin) {
    return TemplateParser(text, origin).parse();
}

}  // namespace sluice::bridge
