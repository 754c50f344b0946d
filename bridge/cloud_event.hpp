#pragma once
/// CloudEvents in binary content mode: the attributes of a message as an event [CloudEvents 1.0.2, 3]. Each
/// upstream has its own spelling for their names; the payload is the event's data as it is.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/mapping.hpp"

namespace sluice::bridge {

/// The defaults and texts of the route keys `cloudevents`, `ce_type` and `ce_source`.
constexpr std::string_view ce_type_default = "sluice.mqtt.publish";
constexpr std::string_view ce_source_default = "/mqtt/{origin}";
constexpr std::string_view cloudevents_doc =
    "Send messages as CloudEvents in binary content mode. A message that is one already by CloudEvents' MQTT "
    "binding keeps its attributes.";
constexpr std::string_view ce_type_doc = "Template of the event's type.";
constexpr std::string_view ce_source_doc =
    "Template of the event's source. What is no character of a URI in a placeholder's value is written as "
    "%XX.";

struct CloudEventAttribute {
    std::string_view name;   ///< "id"; no prefix
    std::string_view value;  ///< text
};

/// One event's attributes; borrows from the message and the mapping. Made to be filled again and again.
class CloudEvent {
  public:
    CloudEvent() = default;
    CloudEvent(const CloudEvent&) = delete;
    CloudEvent& operator=(const CloudEvent&) = delete;

    /// All but datacontenttype, which is the message's content type. None when the payload is the whole event
    /// (structured content mode): then there is nothing to add.
    std::span<const CloudEventAttribute> attributes() const { return attributes_; }
    /// The datacontenttype of a message that has no content type but is an event that says it by its user
    /// property; else empty.
    std::string_view content_type() const { return content_type_; }
    /// Whether a user property is one of the attributes: it need not be sent a second time.
    bool owns(std::string_view user_property) const;

  private:
    friend class CloudEventMapping;
    bool take_over(const MessageView& view);

    std::vector<CloudEventAttribute> attributes_;
    std::string_view content_type_;
    bool taken_over_ = false;  ///< the attributes are the message's own user properties
    std::string id_, type_, source_, time_;
};

/// How a route makes events of its messages.
class CloudEventMapping {
  public:
    /// The error names key, problem and expectation. `origin`: ConnectorSpec::origin.
    static Result<CloudEventMapping, std::string> parse(std::string_view type, std::string_view source,
                                                        std::string_view origin);

    /// Sets `event`. Without an origin in the identity the id is the sequence alone. The error says what the
    /// message lacks.
    Result<void, std::string> render(const MessageView& view, const Identity& identity,
                                     CloudEvent& event) const;

  private:
    CloudEventMapping(Template type, Template source) : type_(std::move(type)), source_(std::move(source)) {}

    Template type_, source_;
};

}  // namespace sluice::bridge
