#pragma once
/// What a message says beside its payload, in AMQP's form.
#include <amqp.h>
#include <amqp_framing.h>

#include <string>
#include <vector>

#include "bridge/cloud_event.hpp"
#include "bridge/mapping.hpp"

namespace sluice::bridge::amqp {

/// In a routing key: the levels of {topic} are parted by '.', as RabbitMQ's MQTT plugin does it; a '.' in a
/// value, which would make words of its own, is written %2E, and so '%' is %25.
void append_routing_key(std::string& out, Template::Field field, std::string_view value);

/// The properties of one message; borrows from it and from `event`, which is nullptr when it goes as none.
class MessageProperties {
  public:
    MessageProperties(const MessageView& view, WallTime now, const Identity& identity, bool persistent,
                      const CloudEvent* event);
    MessageProperties(const MessageProperties&) = delete;
    MessageProperties& operator=(const MessageProperties&) = delete;

    /// Adds the header by which a returned message is known.
    void add_tag(std::uint64_t tag);
    const amqp_basic_properties_t& get();
    std::size_t left_out() const { return left_out_; }

  private:
    void take(const Header& header);
    void add_user_property(const Header& header);
    void add_event();
    void set_content_type(std::string_view type);
    amqp_field_value_t* add(std::string_view name, std::size_t value_bytes);
    void add_text(std::string_view name, std::string_view value);

    HeaderList list_;
    const CloudEvent* event_;
    std::vector<std::string> event_names_;
    std::vector<amqp_table_entry_t> headers_;
    std::size_t header_bytes_ = 0;
    std::size_t left_out_ = 0;
    std::string expiration_;
    std::string reply_topic_;
    amqp_basic_properties_t properties_{};
};

}  // namespace sluice::bridge::amqp
