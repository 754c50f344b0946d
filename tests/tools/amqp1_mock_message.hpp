#pragma once
/// Messages of amqp1_mock as JSON. Taken apart by Proton's own decoder, not by the one under test.
#include <proton/codec.h>
#include <proton/message.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace amqp1_mock {

using Json = nlohmann::json;

/// Of a larger payload only the digest is told.
constexpr std::size_t large_bytes = 64UL * 1024;
inline std::string digest(std::string_view payload) {
    return std::to_string(payload.size()) + " bytes " +
           std::to_string(std::hash<std::string_view>()(payload));
}

inline pn_bytes_t to_pn(std::string_view text) {
    return {text.size(), text.data()};
}

inline std::string to_hex(pn_bytes_t bytes) {
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string hex;
    for (std::size_t i = 0; i < bytes.size; ++i) {
        const auto byte = static_cast<unsigned char>(bytes.start[i]);
        hex += digits[byte >> 4];
        hex += digits[byte & 15];
    }
    return hex;
}

/// Text as text with its type in front where that is not a string: "int 2".
inline std::string to_text(pn_data_t* at) {
    switch (pn_data_type(at)) {
        case PN_STRING: {
            const pn_bytes_t bytes = pn_data_get_string(at);
            return {bytes.start, bytes.size};
        }
        case PN_SYMBOL: {
            const pn_bytes_t bytes = pn_data_get_symbol(at);
            return "symbol " + std::string(bytes.start, bytes.size);
        }
        case PN_BINARY:
            return "binary " + to_hex(pn_data_get_binary(at));
        case PN_BOOL:
            return pn_data_get_bool(at) ? "true" : "false";
        case PN_INT:
            return "int " + std::to_string(pn_data_get_int(at));
        default:
            return std::string("? ") + pn_type_name(pn_data_type(at));
    }
}

inline void take_map(pn_data_t* map, const std::string& prefix, Json& to) {
    pn_data_rewind(map);
    if (!pn_data_next(map) || pn_data_type(map) != PN_MAP || !pn_data_enter(map)) return;
    while (pn_data_next(map)) {
        const pn_bytes_t key = pn_data_get_bytes(map);
        if (!pn_data_next(map)) return;
        to[prefix + std::string(key.start, key.size)] = to_text(map);
    }
}

inline void take_text(const char* text, const char* name, Json& to) {
    if (text) to[name] = text;
}
inline void take_id(pn_data_t* id, const char* name, Json& to) {
    pn_data_rewind(id);
    if (pn_data_next(id)) to[name] = to_text(id);
}

/// {"payload": HEX, "body": "binary" | ..., "headers": {...}}; properties have a '@' in front, annotations a
/// '#'.
inline Json describe(pn_message_t* message) {
    Json headers = Json::object();
    if (pn_message_is_durable(message)) headers["@durable"] = "true";
    if (pn_message_get_ttl(message) != 0) headers["@ttl"] = std::to_string(pn_message_get_ttl(message));
    if (pn_message_get_creation_time(message) != 0)
        headers["@creation_time"] = std::to_string(pn_message_get_creation_time(message));
    take_id(pn_message_id(message), "@message_id", headers);
    take_id(pn_message_correlation_id(message), "@correlation_id", headers);
    take_text(pn_message_get_subject(message), "@subject", headers);
    take_text(pn_message_get_reply_to(message), "@reply_to", headers);
    take_text(pn_message_get_content_type(message), "@content_type", headers);
    take_text(pn_message_get_group_id(message), "@group_id", headers);
    take_map(pn_message_annotations(message), "#", headers);
    take_map(pn_message_properties(message), "", headers);
    pn_data_t* body = pn_message_body(message);
    pn_data_rewind(body);
    const bool has_body = pn_data_next(body) && pn_message_is_inferred(message);
    const pn_bytes_t payload = has_body ? pn_data_get_binary(body) : pn_bytes_t{0, nullptr};
    return {{"payload", payload.size > large_bytes ? to_hex(to_pn(digest({payload.start, payload.size})))
                                                   : to_hex(payload)},
            {"has_payload", has_body && pn_data_type(body) == PN_BINARY},
            {"headers", headers}};
}

inline void put_map(pn_data_t* map, const Json& from, bool symbols) {
    pn_data_put_map(map);
    pn_data_enter(map);
    for (const auto& [name, value] : from.items()) {
        if (symbols) {
            pn_data_put_symbol(map, to_pn(name));
        } else {
            pn_data_put_string(map, to_pn(name));
        }
        if (value.is_boolean()) {
            pn_data_put_bool(map, value.get<bool>());
        } else if (value.is_number_integer()) {
            pn_data_put_int(map, value.get<int>());
        } else {
            const auto text = value.get<std::string>();
            pn_data_put_string(map, to_pn(text));
        }
    }
    pn_data_exit(map);
}

/// The bytes of a message from {"data": [TEXT...]} or {"value": TEXT | NUMBER | [...]}, and "subject",
/// "reply_to", "content_type", "correlation_id", "message_id", "ttl_ms", "expiry_ms", "properties",
/// "annotations".
inline std::string encode(const Json& from) {
    const std::unique_ptr<pn_message_t, decltype(&pn_message_free)> message(pn_message(), &pn_message_free);
    pn_message_t* at = message.get();
    const auto id = [](const std::string& text) {
        pn_atom_t atom{};
        atom.type = PN_STRING;
        atom.u.as_bytes = to_pn(text);
        return atom;
    };
    const auto text = [&](const char* key) { return from.value(key, std::string()); };
    if (from.contains("subject")) pn_message_set_subject(at, text("subject").c_str());
    if (from.contains("reply_to")) pn_message_set_reply_to(at, text("reply_to").c_str());
    if (from.contains("content_type")) pn_message_set_content_type(at, text("content_type").c_str());
    if (from.contains("message_id")) pn_message_set_id(at, id(text("message_id")));
    if (from.contains("correlation_id")) pn_message_set_correlation_id(at, id(text("correlation_id")));
    if (from.contains("ttl_ms")) pn_message_set_ttl(at, from["ttl_ms"].get<pn_millis_t>());
    if (from.contains("expiry_ms")) pn_message_set_expiry_time(at, from["expiry_ms"].get<std::int64_t>());
    if (from.contains("annotations")) put_map(pn_message_annotations(at), from["annotations"], true);
    if (from.contains("properties")) put_map(pn_message_properties(at), from["properties"], false);
    pn_data_t* body = pn_message_body(at);
    const Json value = from.value("value", Json());
    if (value.is_string()) {
        const auto content = value.get<std::string>();
        pn_data_put_string(body, to_pn(content));
    } else if (value.is_number()) {
        pn_data_put_long(body, value.get<std::int64_t>());
    } else if (value.is_array()) {
        pn_data_put_list(body);
    }
    pn_rwbytes_t buffer{0, nullptr};
    const ssize_t size = pn_message_encode2(at, &buffer);
    std::string bytes(buffer.start, size > 0 ? static_cast<std::size_t>(size) : 0);
    std::free(buffer.start);
    if (!from.contains("data")) return bytes;
    // Data sections by hand (3.2.6): Proton writes one only, and none for an empty body.
    for (const auto& part : from["data"]) {
        const auto content = part.get<std::string>();
        const auto length = static_cast<std::uint32_t>(content.size());
        bytes += std::string("\x00\x53\x75\xb0", 4);
        for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(length >> shift);
        bytes += content;
    }
    return bytes;
}

}  // namespace amqp1_mock
