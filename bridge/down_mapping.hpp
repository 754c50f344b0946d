#pragma once
/// How what comes from an upstream becomes an MQTT message: its topic by a template, the rest by what the
/// connector has taken apart.
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "bridge/connector.hpp"
#include "bridge/settings.hpp"
#include "bridge/template_syntax.hpp"

namespace sluice::bridge {

/// Placeholders: `{topic}` and `{topic[N]}` (the MQTT topic that it had where it came from, when the upstream
/// carries that), `{source}` and `{source[N]}` (the upstream's own name of the place: Kafka's topic, the
/// routing key, the peer's topic; levels are parted by '/' or, where there is none, by '.'), `{key}` (Kafka's
/// record key), `{header.NAME}`. `{NAME|text}` gives "text" where there is no such part.
class DownTemplate {
  public:
    /// The error names column (from 1), problem and expectation.
    static Result<DownTemplate, std::string> parse(std::string_view text);

    /// The error says which part is missing.
    Result<std::string, std::string> render(const Incoming& incoming) const;

  private:
    enum class Field : std::uint8_t { literal, topic, topic_level, source, source_level, key, header };
    struct Part {
        Field field = Field::literal;
        std::size_t level = 0;
        std::string text;  ///< the literal, or the header's name; for messages, the placeholder
        std::optional<std::string> fallback;
    };
    static Result<Part, std::string> part_of(Placeholder placeholder);

    std::vector<Part> parts_;
};

/// `publisher`: the client id that the message has here. The error is one line: what cannot be used, and why.
Result<core::MessagePtr, std::string> to_message(const Incoming& incoming, const DownTemplate& topic,
                                                 const DownSettings& settings, std::string_view publisher,
                                                 WallTime now);

}  // namespace sluice::bridge
