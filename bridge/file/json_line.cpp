#include "bridge/file/json_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bridge/file/file_name.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge::file {
namespace {

/// `text` is UTF-8. nlohmann::json would copy it twice.
void append_json_text(std::string& out, std::string_view text) {
    out += '"';
    std::size_t from = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        out += text.substr(from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (c == '\n') {
            out += "\\n";
        } else {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
        }
    }
    out += text.substr(from);
    out += '"';
}

/// Of RFC 4648, section 4, with padding. The module links no library that has one.
void append_base64(std::string& out, Bytes bytes) {
    static constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (; !bytes.empty(); bytes = bytes.subspan(std::min<std::size_t>(3, bytes.size()))) {
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < bytes.size() ? bytes[i] : 0U);
        for (std::size_t i = 0; i < 4; ++i)
            out += i <= bytes.size() ? digits[bits >> (18 - 6 * i) & 63] : '=';
    }
}

/// Takes in a document without keeping any of it.
struct DepthWatch {
    int depth = 0;

    bool null() { return true; }
    bool boolean(bool) { return true; }
    bool number_integer(std::int64_t) { return true; }
    bool number_unsigned(std::uint64_t) { return true; }
    bool number_float(double, const std::string&) { return true; }
    bool string(std::string&) { return true; }
    bool binary(nlohmann::json::binary_t&) { return true; }
    bool key(std::string&) { return true; }
    bool start_object(std::size_t) { return ++depth <= json_depth_max; }
    bool end_object() { return --depth >= 0; }
    bool start_array(std::size_t) { return ++depth <= json_depth_max; }
    bool end_array() { return --depth >= 0; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) { return false; }
};

/// One document that may be copied into a line as it is, but for the white space.
bool is_json(std::string_view text) {
    // The parser takes a zero for the end, and skips a byte order mark.
    if (text.empty() || text.starts_with("\xef\xbb\xbf") || text.find('\0') != std::string_view::npos)
        return false;
    DepthWatch watch;
    try {
        return nlohmann::json::sax_parse(text.begin(), text.end(), &watch);
    } catch (const std::exception&) {  // no memory: a payload never ends the process
        return false;
    }
}

void append_json(std::string& out, std::string_view json) {
    const auto from = static_cast<std::ptrdiff_t>(out.size());
    out += json;
    // JSON has them between its parts only, never inside of a text.
    std::replace_if(
        out.begin() + from, out.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
}

Result<void, std::string> append_payload(std::string& out, Bytes payload, PayloadForm form) {
    const std::string_view text = as_text(payload);
    const bool is_auto = form == PayloadForm::automatic;
    if ((is_auto || form == PayloadForm::json) && is_json(text)) {
        out += R"("payload_encoding":"json","payload":)";
        append_json(out, text);
        return {};
    }
    if (form == PayloadForm::json)
        return Err{
            fmt::format("the payload is no JSON document that nests less than {} deep; expected one, or "
                        "payload = \"auto\"",
                        json_depth_max + 1)};
    if ((is_auto || form == PayloadForm::text) && wire::is_utf8(text)) {
        out += R"("payload_encoding":"text","payload":)";
        append_json_text(out, text);
        return {};
    }
    if (form == PayloadForm::text)
        return Err{std::string("the payload is no UTF-8; expected text, or payload = \"auto\"")};
    out += R"("payload_encoding":"base64","payload":")";
    append_base64(out, payload);
    out += '"';
    return {};
}

/// Each name has a list: MQTT lets a name stand several times.
void append_user_properties(std::string& out, std::vector<const Header*> properties) {
    if (properties.empty()) return;
    std::stable_sort(properties.begin(), properties.end(),
                     [](const Header* a, const Header* b) { return a->name < b->name; });
    out += R"("properties":{)";
    for (std::size_t i = 0; i < properties.size(); ++i) {
        const bool same = i > 0 && properties[i]->name == properties[i - 1]->name;
        if (!same) {
            if (i > 0) out += "],";
            append_json_text(out, properties[i]->name);
            out += ":[";
        } else {
            out += ',';
        }
        append_json_text(out, properties[i]->value);
    }
    out += "]},";
}

void append_field(std::string& out, std::string_view key, const Header& header) {
    out += '"';
    out += key;
    out += "\":";
    append_json_text(out, header.value);
    out += ',';
}

void append_bare_field(std::string& out, std::string_view key, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "\"{}\":{},", key, value);
}

void append_header(std::string& out, const Header& header) {
    switch (header.field) {
        case HeaderField::message_id:
            return append_field(out, "id", header);
        case HeaderField::sequence:
            return append_bare_field(out, "sequence", header.value);
        case HeaderField::origin:
            return append_field(out, "origin", header);
        case HeaderField::topic:
            return append_field(out, "topic", header);
        case HeaderField::qos:
            return append_bare_field(out, "qos", header.value);
        case HeaderField::retain:
            return append_bare_field(out, "retain", header.value);
        case HeaderField::client_id:
            return append_field(out, "client_id", header);
        case HeaderField::content_type:
            return append_field(out, "content_type", header);
        case HeaderField::response_topic:
            return append_field(out, "response_topic", header);
        case HeaderField::correlation_data:
            out += R"("correlation_data":")";
            append_base64(out, as_bytes(header.value));
            out += "\",";
            return;
        case HeaderField::payload_format:
            return append_bare_field(out, "payload_format", header.value);
        case HeaderField::remaining_expiry_s:  // means nothing in a file; see append_headers()
        case HeaderField::user_property:
            return;
    }
}

bool is_basic(HeaderField field) {
    return field == HeaderField::message_id || field == HeaderField::topic;
}

void append_headers(std::string& out, const MessageView& view, const Identity& identity, bool all) {
    const HeaderList list(view, view.message().received(), identity);
    std::vector<const Header*> user_properties;
    for (const Header& header : list.headers()) {
        if (all || is_basic(header.field)) append_header(out, header);
        if (all && header.field == HeaderField::user_property) user_properties.push_back(&header);
    }
    if (!all) return;
    if (const auto expiry = view.message().expiry_interval_s())  // counts from "time"
        append_bare_field(out, "expiry_interval_s", std::to_string(*expiry));
    append_user_properties(out, std::move(user_properties));
}

}  // namespace

Result<void, std::string> append_line(std::string& out, const MessageView& view, const Identity& identity,
                                      LineForm form) {
    const std::size_t before = out.size();
    fmt::format_to(std::back_inserter(out), R"({{"time":"{}",)", line_time(view.message().received()));
    append_headers(out, view, identity, form.headers);
    auto appended = append_payload(out, view.message().payload(), form.payload);
    if (!appended) {
        out.resize(before);
        return appended;
    }
    out += "}\n";
    return {};
}

void LineCheck::feed(std::string_view bytes) {
    for (const char c : bytes) {
        if (damaged_) return;
        ++line_bytes_;
        if (c != '\n') {
            // Our lines have no control characters: a zero is a hole.
            if (static_cast<unsigned char>(c) < 0x20 || (line_bytes_ == 1 && c != '{')) line_is_ours_ = false;
            last_ = c;
        } else if (line_is_ours_ && last_ == '}' && line_bytes_ > 2) {
            whole_bytes_ += line_bytes_;
            line_bytes_ = 0;
            last_ = 0;
        } else {
            damaged_ = true;
        }
    }
}

}  // namespace sluice::bridge::file
