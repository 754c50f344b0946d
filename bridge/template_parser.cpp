#include <fmt/format.h>

#include "bridge/field_reader.hpp"
#include "bridge/mapping.hpp"
#include "bridge/template_syntax.hpp"

namespace sluice::bridge {

class TemplateParser {
  public:
    TemplateParser(std::string_view text, std::optional<std::string_view> origin)
        : reader_(text), origin_(origin) {}

    Result<Template, std::string> parse() {
        Template result;
        result.text_ = reader_.text();
        while (true) {
            auto text = reader_.literal();
            if (!text) return Err{text.error()};
            add_literal(result, *text);
            if (reader_.at_end()) return result;
            auto part = parse_placeholder();
            if (!part) return Err{part.error()};
            if (part->field == Field::literal) {
                add_literal(result, part->text);
            } else {
                result.parts_.push_back(std::move(part).value());
            }
        }
    }

  private:
    using Part = Template::Part;
    using Field = Template::Field;
    using Parsed = Result<Part, std::string>;

    static void add_literal(Template& to, std::string_view text) {
        if (text.empty()) return;
        if (to.parts_.empty() || to.parts_.back().field != Field::literal) to.parts_.emplace_back();
        to.parts_.back().text += text;
    }

    static Err<std::string> fail(std::size_t at, std::string_view what) {
        return TemplateReader::fail(at, what);
    }

    Parsed parse_placeholder() {
        const std::size_t begin = reader_.name_at();
        const std::string_view rest = reader_.text().substr(begin);
        // Quoted names may have braces and bars in them: these are not cut out first.
        if (rest.starts_with("payload.") || rest.starts_with("payload[")) return parse_payload(begin);
        if (rest.starts_with("property[")) return parse_quoted_property(begin);
        auto plain = reader_.plain();
        if (!plain) return Err{plain.error()};
        return name_part(with_fallback({}, std::move(plain->fallback)), plain->name, begin);
    }

    Parsed parse_payload(std::size_t begin) {
        FieldReader fields(reader_.text(), begin + std::string_view("payload").size());
        auto path = fields.read_path();
        if (!path) return Err{*fields.error()};
        Part part;
        part.field = Field::payload;
        part.path = std::move(*path);
        part.text = reader_.text().substr(begin, fields.at() - begin);
        return end_placeholder(std::move(part), fields.at());
    }

    Parsed parse_quoted_property(std::size_t begin) {
        FieldReader fields(reader_.text(), begin + std::string_view("property[").size());
        const char quote = fields.peek();
        if (quote != '"' && quote != '\'')
            return fail(fields.at(), "expected the property's name in quotes, as in {property[\"NAME\"]}");
        auto name = fields.read_bracket_name();
        if (!name) return Err{*fields.error()};
        Part part;
        part.field = Field::property;
        part.text = std::move(*name);
        return end_placeholder(std::move(part), fields.at());
    }

    Parsed end_placeholder(Part part, std::size_t at) {
        auto fallback = reader_.rest(at);
        if (!fallback) return Err{fallback.error()};
        return with_fallback(std::move(part), std::move(fallback).value());
    }

    static Part with_fallback(Part part, std::optional<std::string> fallback) {
        part.has_fallback = fallback.has_value();
        part.fallback = std::move(fallback).value_or(std::string());
        return part;
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
            const auto level = parse_level(name.substr(6));
            if (!level)
                return fail(begin + 6, "bad topic level; expected a number from 0 and ']', as in {topic[1]}");
            part.level = *level;
            part.field = Field::topic_level;
            return part;
        }
        return fail(begin, fmt::format("unknown placeholder '{}'; expected topic, topic[N], client_id, "
                                       "user_name, qos, retain, content_type, date, received, {}"
                                       "property.NAME or payload.NAME",
                                       name, origin_ ? "origin, " : ""));
    }

    TemplateReader reader_;
    std::optional<std::string_view> origin_;
};

Result<Template, std::string> Template::parse(std::string_view text, std::optional<std::string_view> origin) {
    return TemplateParser(text, origin).parse();
}

}  // namespace sluice::bridge
