#pragma once
/// What goes up: an MQTT message in AMQP 1.0's form.
#include <proton/message.h>

#include <memory>
#include <string>
#include <string_view>

#include "bridge/mapping.hpp"

namespace sluice::bridge::amqp1 {

/// In an address: the levels of {topic} are parted by '.'.
void append_address(std::string& out, Template::Field field, std::string_view value);
/// The same, but whatever means something in a path is percent-encoded, as RabbitMQ 4 wants it: a value can
/// then not lead to another exchange or queue than the template says.
void append_path(std::string& out, Template::Field field, std::string_view value);

/// What a route says about a message, beside its address. The templates are rendered.
struct Marks {
    bool durable = true;
    std::string partition_key;  ///< empty: none
    std::string group_id;       ///< empty: none
};

/// Makes the bytes of messages. One thread.
class MessageEncoder {
  public:
    MessageEncoder() : message_(pn_message()) {}
    MessageEncoder(const MessageEncoder&) = delete;
    MessageEncoder& operator=(const MessageEncoder&) = delete;
    ~MessageEncoder();

    /// Lives until the next call. Empty when Proton cannot encode it (no memory).
    std::string_view encode(const MessageView& view, WallTime now, const Identity& identity,
                            const Marks& marks);
    /// Of the last message: what is no UTF-8, too large, a name that is ours or one that was there before.
    std::size_t left_out() const { return left_out_; }

  private:
    struct MessageDeleter {
        void operator()(pn_message_t* message) const { pn_message_free(message); }
    };

    void take(const Header& header, pn_data_t* map);
    void take_user_properties(const HeaderList& list, pn_data_t* map);

    std::unique_ptr<pn_message_t, MessageDeleter> message_;
    pn_rwbytes_t buffer_{0, nullptr};  ///< Proton's malloc; grows, and is given back when it grew very large
    std::string text_;
    std::size_t left_out_ = 0;
};

}  // namespace sluice::bridge::amqp1
