#include "bridge/mapping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "wire/decode.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge {

std::optional<std::string_view> MessageView::topic_level(std::size_t index) const {
    std::string_view rest = message_->topic();
    for (; index > 0; --index) {
        const auto slash = rest.find('/');
        if (slash == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(slash + 1);
    }
    return rest.substr(0, rest.find('/'));
}

const wire::Properties& MessageView::properties() const {
    if (!properties_) {
        properties_.emplace();
        if (!message_->properties().empty()) {
            auto decoded = wire::decode_publish_properties(message_->properties());
            if (decoded) properties_ = std::move(decoded).value();
        }
    }
    return *properties_;
}

std::optional<std::string_view> MessageView::user_property(std::string_view name) const {
    for (const auto& property : properties().user_properties)
        if (property.name == name) return property.value;
    return std::nullopt;
}

const PayloadJson& MessageView::payload_json() const {
    if (!json_) json_ = std::make_unique<const PayloadJson>(as_text(message_->payload()));
    return *json_;
}

/// Reads a template once, left to right.
class TemplateParser {
  public:
    explicit TemplateParser(std::string_view text) : text_(text) {}

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
                result.parts_.push_back(std::move(part).value());
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

    static void add_literal(Template& to, std::string_view text) {
        if (to.parts_.empty() || to.parts_.back().field != Field::literal) to.parts_.emplace_back();
        to.parts_.back().text += text;
    }

    Err<std::string> fail(std::size_t at, std::string_view what) const {
        return Err{fmt::format("column {}: {}", at + 1, what)};
    }

    Result<Part, std::string> parse_placeholder() {
        const std::size_t begin = at_ + 1;
        const auto end = text_.find('}', begin);
        if (end == std::string_view::npos)
            return fail(at_, "'{' is not closed; expected '}', or write '{{' for a brace");
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

    Result<Part, std::string> name_part(Part part, std::string_view name, std::size_t begin) const {
        if (name == "topic") {
            part.field = Field::topic;
        } else if (name == "client_id") {
            part.field = Field::client_id;
        } else if (name == "user_name") {
            part.field = Field::user_name;
        } else if (name == "qos") {
            part.field = Field::qos;
        } else if (name.starts_with("property.")) {
            part.field = Field::property;
            part.text = name.substr(9);
            if (part.text.empty())
                return fail(begin + 9, "the property has no name; expected {property.NAME}");
        } else if (name.starts_with("topic[")) {
            const std::string_view digits = name.substr(6);
            const auto* last = digits.data() + digits.size();
            const auto [stop, error] = std::from_chars(digits.data(), last, part.level);
            if (error != std::errc{} || stop + 1 != last || *stop != ']' || part.level > 65535)
                return fail(begin + 6, "bad topic level; expected a number from 0 and ']', as in {topic[1]}");
            part.field = Field::topic_level;
        } else {
            return fail(begin, fmt::format("unknown placeholder '{}'; expected topic, topic[N], client_id, "
                                           "user_name, qos or property.NAME",
                                           name));
        }
        return part;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

Result<Template, std::string> Template::parse(std::string_view text) {
    return TemplateParser(text).parse();
}

void Template::append_plain(std::string& out, Field, std::string_view value) {
    out += value;
}

Result<void, std::string> Template::render_part(const Part& part, const MessageView& view, std::string& out,
                                                Append append) const {
    const core::Message& message = view.message();
    std::optional<std::string_view> value;
    static constexpr std::string_view qos_digits = "012";
    switch (part.field) {
        case Field::literal:
            out += part.text;
            return {};
        case Field::topic:
            value = message.topic();
            break;
        case Field::topic_level:
            value = view.topic_level(part.level);
            break;
        case Field::client_id:  // the broker's own messages have an empty one: that is not a missing part
            value = message.client_id();
            if (value->empty() && part.has_fallback) value.reset();
            break;
        case Field::user_name:
            if (!message.user_name().empty()) value = message.user_name();
            break;
        case Field::qos:
            value = qos_digits.substr(static_cast<std::size_t>(message.qos()), 1);
            break;
        case Field::property:
            value = view.user_property(part.text);
            break;
    }
    if (!value && part.has_fallback) value = part.fallback;
    if (value) {
        append(out, part.field, *value);
        return {};
    }
    if (part.field == Field::topic_level)
        return Err{fmt::format("'{}': the topic has no level {}", text_, part.level)};
    if (part.field == Field::property)
        return Err{fmt::format("'{}': the message has no user property '{}'", text_, part.text)};
    return Err{fmt::format("'{}': the publisher has no user name", text_)};
}

Result<void, std::string> Template::render(const MessageView& view, std::string& out, Append append) const {
    out.clear();
    for (const Part& part : parts_) {
        auto rendered = render_part(part, view, out, append);
        if (!rendered) return rendered;
    }
    return {};
}

Result<std::string, std::string> Template::render(const core::Message& message, Append append) const {
    std::string out;
    auto rendered = render(MessageView(message), out, append);
    if (!rendered) return Err{rendered.error()};
    return out;
}

bool Template::is_literal() const {
    return std::all_of(parts_.begin(), parts_.end(),
                       [](const Part& part) { return part.field == Field::literal; });
}

std::string message_id_of(const Identity& identity) {
    return fmt::format("{}-{}", identity.origin, identity.sequence);
}

HeaderList::HeaderList(const MessageView& view, WallTime now, const Identity& identity) {
    static constexpr std::string_view digits = "012";
    const core::Message& message = view.message();
    const wire::Properties& properties = view.properties();
    headers_.reserve(12 + properties.user_properties.size());
    if (!identity.origin.empty()) {
        message_id_ = message_id_of(identity);
        sequence_text_ = std::to_string(identity.sequence);
        add(HeaderField::message_id, message_id_);
        add(HeaderField::sequence, sequence_text_);
        add(HeaderField::origin, identity.origin);
    }
    add(HeaderField::topic, message.topic());
    const auto qos = static_cast<std::uint32_t>(message.qos());
    add_number(HeaderField::qos, qos, digits.substr(qos, 1));
    add_number(HeaderField::retain, message.retain() ? 1 : 0, message.retain() ? "true" : "false");
    if (!message.client_id().empty()) add(HeaderField::client_id, message.client_id());
    if (properties.content_type) add(HeaderField::content_type, *properties.content_type);
    if (properties.response_topic) add(HeaderField::response_topic, *properties.response_topic);
    if (properties.correlation_data)
        add(HeaderField::correlation_data, as_text(*properties.correlation_data));
    if (properties.payload_format_indicator) {
        const std::uint32_t format = *properties.payload_format_indicator ? 1 : 0;
        add_number(HeaderField::payload_format, format, digits.substr(format, 1));
    }
    if (const auto expiry = message.remaining_expiry_s(now)) {
        expiry_text_ = std::to_string(*expiry);
        add_number(HeaderField::remaining_expiry_s, *expiry, expiry_text_);
    }
    for (const auto& property : properties.user_properties)
        add(HeaderField::user_property, property.value, property.name);
}

void HeaderList::add(HeaderField field, std::string_view value, std::string_view name) {
    // Correlation data are bytes by their nature [MQTT-3.3.2.3.6]; the rest is text for whoever reads it.
    const bool text = field != HeaderField::correlation_data;
    if (value.size() > header_bytes_max || name.size() > header_bytes_max ||
        (text && !(wire::is_mqtt_utf8(value) && wire::is_mqtt_utf8(name)))) {
        ++left_out_;
        return;
    }
    headers_.push_back({field, name, value, 0});
}

void HeaderList::add_number(HeaderField field, std::uint32_t number, std::string_view text) {
    headers_.push_back({field, {}, text, number});
}

}  // namespace sluice::bridge
