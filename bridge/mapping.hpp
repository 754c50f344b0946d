#pragma once
/// How a message becomes an upstream's: templates for names and keys, and the list of what goes into headers.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "bridge/message_view.hpp"

namespace sluice::bridge {

/// Text with placeholders: `telemetry.{topic[1]}`. Placeholders: `{topic}`, `{topic[N]}` (level N, the first
/// is 0), `{client_id}`, `{user_name}`, `{qos}`, `{retain}` ("true" or "false"), `{content_type}`,
/// `{property.NAME}` and `{property["NAME"]}` (a user property), `{payload.NAME}` (a field of a JSON payload,
/// with the paths of conditions: `{payload.list[0]["a b"]}`), `{date}` and `{received}` (when the broker took
/// the message in, UTC: "2024-05-01", "2024-05-01T12:34:56.789Z"; the same in every delivery), and where the
/// connector gives it `{origin}` (ConnectorSpec::origin).
///
/// Of the payload, numbers and booleans render as text, a number in its shortest form (21.0 as "21"); null,
/// objects and arrays are no plain values. `{topic[4]|none}` gives "none" where a message has no such part,
/// or no plain value there. `{{` and `}}` are literal braces.
class Template {
  public:
    enum class Field : std::uint8_t {
        literal,
        topic,
        topic_level,
        client_id,
        user_name,
        qos,
        retain,
        content_type,
        date,
        received,
        property,
        payload,
    };

    /// Puts the value of a placeholder into the result; where names have rules, it bends the value to them.
    using Append = void (*)(std::string& out, Field field, std::string_view value);
    static void append_plain(std::string& out, Field field, std::string_view value);

    /// The error names column (from 1), problem and expectation. `origin`: what {origin} stands for; without
    /// one there is no such placeholder.
    static Result<Template, std::string> parse(std::string_view text,
                                               std::optional<std::string_view> origin = std::nullopt);

    /// Sets `out`. The error says which part the message lacks.
    Result<void, std::string> render(const MessageView& view, std::string& out,
                                     Append append = &append_plain) const;
    Result<std::string, std::string> render(const core::Message& message,
                                            Append append = &append_plain) const;

    /// Nothing in it depends on the message.
    bool is_literal() const;
    const std::string& text() const { return text_; }

  private:
    friend class TemplateParser;
    struct Part {
        Field field = Field::literal;
        std::size_t level = 0;  ///< of topic_level
        std::string text;       ///< the literal, the property's name, or the payload's path as in the config
        JsonPath path;          ///< of payload
        bool has_fallback = false;
        std::string fallback;
    };
    /// None when the message has no such part, or no plain value there.
    static std::optional<std::string_view> value_of(const Part& part, const MessageView& view,
                                                    std::string& scratch);
    std::string missing_text(const Part& part, const MessageView& view) const;
    Result<void, std::string> render_part(const Part& part, const MessageView& view, std::string& out,
                                          Append append) const;

    std::string text_;  ///< as in the config
    std::vector<Part> parts_;
};

/// "2024-05-01T12:34:56.789Z".
std::string rfc3339_of(WallTime time);

/// What a message says beside its payload. Every upstream has its own place for each.
enum class HeaderField : std::uint8_t {
    message_id,
    sequence,
    origin,
    topic,
    qos,
    retain,
    client_id,
    content_type,
    response_topic,
    correlation_data,
    payload_format,
    remaining_expiry_s,
    user_property,
};

/// A single header may have this many bytes; a longer one is left out and the rest goes on.
constexpr std::size_t header_bytes_max = 64UL * 1024;

struct Header {
    HeaderField field = HeaderField::user_property;
    std::string_view name;   ///< of a user property only
    std::string_view value;  ///< text, except correlation_data; numbers in decimal, retain "true" or "false"
    std::uint32_t number = 0;  ///< the same for qos, retain, payload_format, remaining_expiry_s
};

/// Who a message is to the upstream, so that consumers can leave out what they have had: the same in every
/// delivery. Its id is "ORIGIN-SEQUENCE"; the sequence rises within a route of a shard.
struct Identity {
    std::string_view origin;     ///< the gateway; empty: none of the three headers
    std::uint64_t sequence = 0;  ///< Outgoing::sequence
};
std::string message_id_of(const Identity& identity);

/// All headers of a message, in the order of HeaderField, user properties in their own order. What is absent
/// is not listed; what is over the limit or no UTF-8 is left out and counted. Borrows from the view's
/// message.
class HeaderList {
  public:
    HeaderList(const MessageView& view, WallTime now, const Identity& identity = {});
    HeaderList(const HeaderList&) = delete;
    HeaderList& operator=(const HeaderList&) = delete;

    const std::vector<Header>& headers() const { return headers_; }
    std::size_t left_out() const { return left_out_; }

  private:
    void add(HeaderField field, std::string_view value, std::string_view name = {});
    void add_number(HeaderField field, std::uint32_t number, std::string_view text);

    std::vector<Header> headers_;
    std::string message_id_, sequence_text_, expiry_text_;
    std::size_t left_out_ = 0;
};

}  // namespace sluice::bridge
