#pragma once
/// MessageView: what templates, headers and conditions read of a message, taken apart at most once.
#include <memory>
#include <optional>
#include <string_view>

#include "bridge/payload_json.hpp"
#include "core/message.hpp"
#include "wire/packets.hpp"

namespace sluice::bridge {

/// Borrows the message; one thread.
class MessageView {
  public:
    explicit MessageView(const core::Message& message) : message_(&message) {}

    const core::Message& message() const { return *message_; }
    /// Level `index` of the topic, counted from 0.
    std::optional<std::string_view> topic_level(std::size_t index) const;
    /// The MQTT 5 properties; none when their bytes are damaged.
    const wire::Properties& properties() const;
    /// The first user property of that name.
    std::optional<std::string_view> user_property(std::string_view name) const;
    /// The payload as JSON: read when somebody asks for the first time.
    const PayloadJson& payload_json() const;

  private:
    const core::Message* message_;
    mutable std::optional<wire::Properties> properties_;
    mutable std::unique_ptr<const PayloadJson> json_;
};

}  // namespace sluice::bridge
