#include "player.hpp"

#include <algorithm>
#include <thread>

#include "tests/support/hex.hpp"
#include "tests/support/scram_client.hpp"

namespace sluice::test {
namespace {

std::string to_hex(Bytes bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t byte : bytes) out += {digits[byte >> 4], digits[byte & 15]};
    return out;
}

std::string show(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_name(const Json& value) {
    return value.is_string() && value.get_ref<const std::string&>().starts_with("@");
}

/// {"scram_final": {"user": ..., "password": ..., "nonce": ..., "challenge": ...}}: what the client says to
/// the server's challenge; "scram_verifier": what the server says then.
bool is_scram(const Json& value) {
    return value.is_object() && (value.contains("scram_final") || value.contains("scram_verifier"));
}

Json scram_text(const Json& value) {
    const Json& of = value.begin().value();
    ScramClient client(of.at("user"), of.at("password"), of.value("nonce", "abc"));
    const std::string final_message = client.final_for(of.at("challenge"));
    if (final_message.empty()) throw Mismatch("no SCRAM challenge: " + show(of.at("challenge")));
    return value.contains("scram_final") ? final_message : client.server_final();
}

/// What a packet has when the vector does not say otherwise.
Json with_defaults(const std::string& packet, Json fields) {
    static const std::map<std::string, Json> defaults{
        {"connack", {{"present", 0}, {"code", 0}}},
        {"publish", {{"dup", 0}, {"qos", 0}, {"retain", 0}}},
        {"puback", {{"code", 0}}},
        {"pubrec", {{"code", 0}}},
        {"pubrel", {{"code", 0}}},
        {"pubcomp", {{"code", 0}}},
    };
    const auto found = defaults.find(packet);
    if (found == defaults.end()) return fields;
    for (const auto& [key, value] : found->second.items()) {
        if (!fields.contains(key)) fields[key] = value;
    }
    return fields;
}

}  // namespace

void Player::play(const Conversation& conversation) {
    level_ = conversation.level;
    int number = 0;
    for (const Json& one : conversation.steps) {
        ++number;
        try {
            step(one.at(0), one.at(1), one.size() > 2 ? one.at(2) : Json());
        } catch (const std::exception& wrong) {
            throw Mismatch("step " + std::to_string(number) + " " + show(one) + ": " + wrong.what());
        }
    }
}

void Player::step(const std::string& connection, const std::string& verb, const Json& argument) {
    if (verb == "restart") {
        peers_.clear();
        return broker_.restart();
    }
    if (verb == "pass_ms") {
        // Time is what these conversations are about (an expiry counts down); nothing is waited for.
        return std::this_thread::sleep_for(std::chrono::milliseconds(argument.get<int>()));
    }
    if (verb == "open") {
        peers_.erase(connection);
        (void)peer(connection);
        return;
    }
    Peer& at = peer(connection);
    if (verb == "send") return send(at, argument);
    if (verb == "expect") return expect(at, argument);
    if (verb == "expect_any_order") return expect_any_order(at, argument);
    if (verb == "closed") return expect_closed(at, argument);
    if (verb == "closed_after_ms") return expect_closed_in_time(at, argument);
    if (verb == "hello") return hello(at, argument.is_null() ? Json::object() : argument);
    if (verb == "subscribe") return subscribe(at, argument);
    if (verb == "quiet") {
        at.send(hex("c0 00"), cuts_);
        return expect(at, "d0 00");
    }
    if (verb == "half_close") return at.half_close();
    if (verb == "close" || verb == "abort") {
        at.close(verb == "abort");
        peers_.erase(connection);
        return;
    }
    throw Mismatch("vector: there is no step " + verb);
}

Peer& Player::peer(const std::string& connection) {
    auto& found = peers_[connection];
    if (!found) found = std::make_unique<Peer>(broker_.port());
    return *found;
}

Json Player::resolve(const Json& value) const {
    if (is_name(value)) {
        const auto found = names_.find(value);
        return found == names_.end() ? value : found->second;
    }
    Json out = value;
    if (value.is_structured()) {
        for (auto& part : out) part = resolve(part);
    }
    return is_scram(out) ? scram_text(out) : out;
}

ByteBuffer Player::bytes_of(Peer& to, const Json& what) {
    if (what.is_string()) return hex(what.get<std::string>());
    if (what.contains("repeat")) return data_of(what);  // a part of a packet
    Json packet = resolve(what);
    if (packet.contains("connect")) {
        to.level = packet.at("connect").value("level", level_);
        packet["connect"]["level"] = to.level;
    }
    return encode_packet(to.level, packet);
}

void Player::send(Peer& to, const Json& what) {
    if (!what.is_array()) return to.send(bytes_of(to, what), cuts_);
    ByteBuffer bytes;  // several packets in one write
    for (const Json& one : what) append(bytes, bytes_of(to, one));
    to.send(bytes, cuts_);
}

void Player::expect(Peer& from, const Json& what) {
    if (what.is_string()) {
        const ByteBuffer wanted = hex(what.get<std::string>());
        const ByteBuffer got = from.next_bytes(wanted.size());
        if (got != wanted) throw Mismatch("got " + to_hex(got));
        return;
    }
    ByteBuffer raw;
    const auto packet = from.next(raw);
    if (!packet) throw Mismatch("the server closed");
    match_packet(what, *packet);
}

void Player::expect_any_order(Peer& from, const Json& packets) {
    Json left = packets;
    while (!left.empty()) {
        ByteBuffer raw;
        const auto packet = from.next(raw);
        if (!packet) throw Mismatch("the server closed; still wanted: " + show(left));
        const auto fits = [&](const Json& wanted) {
            const auto names = names_;
            try {
                match_packet(wanted, *packet);
                return true;
            } catch (const Mismatch&) {
                names_ = names;
                return false;
            }
        };
        const auto found = std::find_if(left.begin(), left.end(), fits);
        if (found == left.end()) throw Mismatch("got " + show(*packet) + "; still wanted: " + show(left));
        left.erase(found);
    }
}

void Player::expect_closed(Peer& from, const Json& code) {
    ByteBuffer raw;
    auto packet = from.next(raw);
    if (!code.is_null()) {
        if (!packet) throw Mismatch("the server closed without a DISCONNECT");
        match_packet({{"disconnect", {{"code", code}}}}, *packet);
        packet = from.next(raw);
    }
    if (packet) throw Mismatch("not closed, got " + show(*packet));
}

void Player::expect_closed_in_time(Peer& from, const Json& when) {
    const auto begun = std::chrono::steady_clock::now();
    expect_closed(from, when.value("code", Json()));
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun)
            .count();
    if (took < when.at("min") || took > when.at("max"))
        throw Mismatch("closed after " + std::to_string(took) + " ms");
}

void Player::hello(Peer& with, Json connect) {
    const int present = connect.value("present", 0);
    connect.erase("present");
    send(with, {{"connect", connect}});
    expect(with, {{"connack", {{"present", present}}}});
}

void Player::subscribe(Peer& with, const Json& filters) {
    Json packet, codes = Json::array();
    packet["id"] = 0xABCD;
    packet["filters"] = filters;
    for (const Json& filter : filters) {
        const Json& options = filter.at(1);
        codes.push_back(options.is_number() ? options.get<unsigned>() & 3 : options.value("qos", 0U));
    }
    send(with, {{"subscribe", packet}});
    expect(with, {{"suback", {{"id", 0xABCD}, {"codes", codes}}}});
}

void Player::match(const Json& wanted, const Json& actual, const std::string& where) {
    if (wanted == "*") return;
    if (is_name(wanted)) {
        const auto known = names_.find(wanted);
        if (known == names_.end()) {
            names_.emplace(wanted, actual);
            return;
        }
        return match(known->second, actual, where);
    }
    if (is_scram(wanted)) return match(resolve(wanted), actual, where);
    bool good = wanted == actual;
    if (wanted.is_object() && wanted.contains("any")) {
        const Json& any = wanted.at("any");
        good = std::find(any.begin(), any.end(), actual) != any.end();
    } else if (wanted.is_object() && wanted.contains("min")) {
        good = actual >= wanted.at("min") && actual <= wanted.at("max");
    } else if (wanted.is_object() && wanted.contains("repeat")) {
        std::string text;
        for (int i = wanted.at("repeat").at(1); i > 0; --i) text += wanted.at("repeat").at(0);
        good = actual == text;
    } else if (wanted.is_object() && wanted.contains("hex")) {
        good = hex(wanted.at("hex").get<std::string>()) == ByteBuffer([&] {
                   const Bytes bytes = as_bytes(actual.get_ref<const std::string&>());
                   return ByteBuffer(bytes.begin(), bytes.end());
               }());
    }
    if (!good) throw Mismatch(where + ": got " + show(actual) + ", wanted " + show(wanted));
}

void Player::match_packet(const Json& wanted, const Json& actual) {
    const std::string name = wanted.begin().key();
    if (!actual.contains(name)) throw Mismatch("got " + show(actual));
    const Json fields = with_defaults(name, wanted.begin().value());
    const Json& got = actual.at(name);
    for (const auto& [key, value] : fields.items()) {
        if (key == "properties") {
            match_properties(value, got.at("properties"));
            continue;
        }
        if (!got.contains(key)) throw Mismatch(key + " is missing in " + show(actual));
        try {
            match(value, got.at(key), key);
        } catch (const Mismatch& wrong) {
            throw Mismatch(std::string(wrong.what()) + " in " + show(actual));
        }
    }
}

void Player::match_properties(const Json& wanted, const Json& actual) {
    if (wanted.is_array()) return match(wanted, actual, "properties");  // these, in this order, and no others
    for (const auto& [name, value] : wanted.items()) {
        Json found = Json::array();
        for (const Json& one : actual) {
            if (one.at(0) == name) found.push_back(one.at(1));
        }
        if (value.is_null()) {
            if (!found.empty()) throw Mismatch("property " + name + " is there: " + show(found));
        } else if (name == "user_property") {
            match(value, found, name);
        } else if (name == "subscription_identifier" && value.is_array()) {
            std::sort(found.begin(), found.end());
            match(value, found, name);
        } else {
            if (found.size() != 1) throw Mismatch("property " + name + " is missing in " + show(actual));
            match(value, found.front(), name);
        }
    }
}

}  // namespace sluice::test
