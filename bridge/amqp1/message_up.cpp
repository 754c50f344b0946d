#include "bridge/amqp1/message_up.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "bridge/amqp1/proton.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge::amqp1 {
namespace {

constexpr std::size_t partition_key_bytes_max = 128;  // Azure's own limit
constexpr std::size_t buffer_bytes_kept = 256UL * 1024;
constexpr std::uint64_t ttl_ms_max = 4'294'967'295;

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_unreserved(char c) {  // RFC 3986, 2.3
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/// Whole characters only.
std::string_view first_bytes(std::string_view text, std::size_t count) {
    if (text.size() <= count) return text;
    while (count > 0 && (static_cast<unsigned char>(text[count]) & 0xC0) == 0x80) --count;
    return text.substr(0, count);
}

/// A device must not speak for us.
bool is_ours(std::string_view name) {
    return name.starts_with("mqtt.") || name.starts_with("sluice.") || name == "payload-format-indicator" ||
           name == "content-type";
}

void put_text(pn_data_t* map, std::string_view name, std::string_view value) {
    pn_data_put_string(map, to_pn(name));
    pn_data_put_string(map, to_pn(value));
}
void put_int(pn_data_t* map, std::string_view name, std::uint32_t value) {
    pn_data_put_string(map, to_pn(name));
    pn_data_put_int(map, static_cast<std::int32_t>(value));
}

}  // namespace

void append_address(std::string& out, Template::Field field, std::string_view value) {
    const auto from = static_cast<std::ptrdiff_t>(out.size());
    out += value;
    if (field == Template::Field::topic) std::replace(out.begin() + from, out.end(), '/', '.');
}

void append_path(std::string& out, Template::Field field, std::string_view value) {
    static constexpr std::string_view digits = "0123456789ABCDEF";
    for (char c : value) {
        if (c == '/' && field == Template::Field::topic) c = '.';
        if (is_unreserved(c)) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
}

MessageEncoder::~MessageEncoder() {
    std::free(buffer_.start);
}

std::string_view MessageEncoder::encode(const MessageView& view, WallTime now, const Identity& identity,
                                        const Marks& marks) {
    const HeaderList list(view, now, identity);
    const core::Message& mqtt = view.message();
    pn_message_t* message = message_.get();
    left_out_ = list.left_out();
    pn_message_clear(message);
    pn_message_set_inferred(message, true);  // the body is a data section
    pn_message_set_durable(message, marks.durable);
    text_ = mqtt.topic();
    pn_message_set_subject(message, text_.c_str());
    pn_message_set_creation_time(message, mqtt.received().time_since_epoch().count());
    if (!marks.group_id.empty()) pn_message_set_group_id(message, marks.group_id.c_str());
    if (!marks.partition_key.empty()) {
        pn_data_t* annotations = pn_message_annotations(message);
        pn_data_put_map(annotations);
        pn_data_enter(annotations);
        pn_data_put_symbol(annotations, to_pn("x-opt-partition-key"));
        pn_data_put_string(annotations, to_pn(first_bytes(marks.partition_key, partition_key_bytes_max)));
        pn_data_exit(annotations);
    }
    pn_data_t* map = pn_message_properties(message);
    pn_data_put_map(map);
    pn_data_enter(map);
    for (const Header& header : list.headers()) take(header, map);
    take_user_properties(list, map);
    pn_data_exit(map);
    const Bytes payload = mqtt.payload();
    pn_data_put_binary(pn_message_body(message),
                       {payload.size(), reinterpret_cast<const char*>(payload.data())});
    if (buffer_.size > buffer_bytes_kept) {
        std::free(buffer_.start);
        buffer_ = {0, nullptr};
    }
    const ssize_t size = pn_message_encode2(message, &buffer_);
    return size > 0 ? std::string_view(buffer_.start, static_cast<std::size_t>(size)) : std::string_view();
}

void MessageEncoder::take(const Header& header, pn_data_t* map) {
    pn_message_t* message = message_.get();
    const auto as_atom = [&](pn_type_t type) {
        pn_atom_t atom{};
        atom.type = type;
        atom.u.as_bytes = to_pn(header.value);
        return atom;
    };
    switch (header.field) {
        case HeaderField::message_id:
            pn_message_set_id(message, as_atom(PN_STRING));
            break;
        case HeaderField::sequence:
            put_text(map, "sluice.sequence", header.value);
            break;
        case HeaderField::origin:
            put_text(map, "sluice.origin", header.value);
            break;
        case HeaderField::topic:
            put_text(map, "mqtt.topic", header.value);
            break;
        case HeaderField::qos:
            put_int(map, "mqtt.qos", header.number);
            break;
        case HeaderField::retain:
            pn_data_put_string(map, to_pn("mqtt.retain"));
            pn_data_put_bool(map, header.number != 0);
            break;
        case HeaderField::client_id:
            put_text(map, "mqtt.client_id", header.value);
            break;
        case HeaderField::content_type:  // a symbol there, which is ASCII
            text_ = header.value;
            if (is_ascii(text_)) {
                pn_message_set_content_type(message, text_.c_str());
            } else {
                put_text(map, "content-type", header.value);
            }
            break;
        case HeaderField::response_topic:
            text_ = header.value;
            pn_message_set_reply_to(message, text_.c_str());
            break;
        case HeaderField::correlation_data:
            pn_message_set_correlation_id(message,
                                          as_atom(wire::is_mqtt_utf8(header.value) ? PN_STRING : PN_BINARY));
            break;
        case HeaderField::payload_format:
            put_int(map, "payload-format-indicator", header.number);
            break;
        case HeaderField::remaining_expiry_s:
            if (header.number * 1000ULL <= ttl_ms_max)
                pn_message_set_ttl(message, static_cast<pn_millis_t>(header.number * 1000ULL));
            break;
        case HeaderField::user_property:
            break;
    }
}

/// The keys of a map are unique, those of MQTT are not: the first one of a name counts.
void MessageEncoder::take_user_properties(const HeaderList& list, pn_data_t* map) {
    std::set<std::string_view> names;
    for (const Header& header : list.headers()) {
        if (header.field != HeaderField::user_property) continue;
        if (is_ours(header.name) || !names.insert(header.name).second) {
            ++left_out_;
            continue;
        }
        put_text(map, header.name, header.value);
    }
}

}  // namespace sluice::bridge::amqp1
