#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "app/ctl_bridge.hpp"
#include "app/logging.hpp"
#include "app/table.hpp"
#include "auth/crypto.hpp"
#include "base/bytes.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;

/// The payload as the broker has it.
Answered<std::string> payload_of(const json& letter) {
    const std::string base64 = text_of(letter, "payload_base64");
    if (base64.empty()) return std::string();
    const auto bytes = auth::decode_base64(base64);
    if (!bytes) return Err{Failure{"the broker answers with a payload that is not base64"}};
    return std::string(as_text(*bytes));
}

/// Text for a terminal, line by line; of other bytes only how many they are.
void print_payload(const Command& command, const json& letter, const std::string& payload) {
    const bool is_text = letter.contains("payload_text") && payload.find('\0') == std::string::npos;
    command.out << fmt::format("payload:    {} bytes{}\n", payload.size(),
                               is_text ? "" : ", not text; --raw writes them");
    if (!is_text) return;
    for (std::size_t at = 0; at < payload.size();) {
        const std::size_t end = std::min(payload.find('\n', at), payload.size());
        command.out << printable_line(std::string_view(payload).substr(at, end - at)) << '\n';
        at = end + 1;
    }
}

void print_letter(const Command& command, const json& letter, const std::string& payload) {
    const auto line = [&](const char* head, const std::string& text) {
        if (!text.empty()) command.out << fmt::format("{:<12}{}\n", head, text);
    };
    command.out << fmt::format("dead letter {} of bridge {}\n", line_of(letter, "id"),
                               line_of(letter, "bridge"));
    line("reason:", line_of(letter, "reason"));
    line("route:", line_of(letter, "route"));
    line("refused:", line_of(letter, "refused"));
    line("received:", line_of(letter, "received"));
    line("topic:", line_of(letter, "topic"));
    line("client id:", line_of(letter, "client_id"));
    line("user name:", line_of(letter, "user_name"));
    line("QoS:", count_of(letter, "qos") + (truth_of(letter, "retain") ? ", retained" : ""));
    for (const json& property : list_of(letter, "properties")) {
        if (!property.is_object()) continue;
        const bool is_text = property.contains("value");
        line("property:",
             fmt::format("{} = {}{}", line_of(property, "name"),
                         line_of(property, is_text ? "value" : "value_base64"), is_text ? "" : " (base64)"));
    }
    print_payload(command, letter, payload);
}

Answered<int> order_dead(const Command& command, const BridgeOptions& options, const char* verb,
                         const char* counted, const char* told) {
    auto ids = options.ids;
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    json body;
    if (options.all) {
        body["all"] = true;
    } else {
        for (const std::uint64_t id : ids) body["ids"].push_back(std::to_string(id));
    }
    const auto reply = order_json(command, bridge_path(options, std::string("/dead/") + verb), body);
    if (!reply) return Err{reply.error()};
    const double done = number_of(*reply, counted);
    const bool some_missing = !options.all && done < static_cast<double>(ids.size());
    if (command.as_json) {
        print(command, *reply);
    } else if (some_missing) {
        command.out << fmt::format("{:.0f} of {} dead letters {}: the others are not there any more\n", done,
                                   ids.size(), told);
    } else {
        command.out << fmt::format("{:.0f} dead letters {}\n", done, told);
    }
    return some_missing ? exit_not_done : 0;
}

}  // namespace

Answered<int> list_dead(const Command& command, const BridgeOptions& options) {
    const auto reply = ask_json(
        command, bridge_path(options, fmt::format("/dead?after={}&count={}", options.after, options.count)));
    if (!reply) return Err{reply.error()};
    if (command.as_json) {
        print(command, *reply);
        return 0;
    }
    const json letters = list_of(*reply, "dead");
    if (letters.empty()) {
        command.out << (options.after == 0 ? "no dead letters\n" : "no more dead letters\n");
        return 0;
    }
    Table table({{"ID", Table::Align::right},
                 {"REFUSED"},
                 {"ROUTE"},
                 {"TOPIC"},
                 {"SIZE", Table::Align::right},
                 {"REASON"}});
    for (const json& letter : letters) {
        if (!letter.is_object()) continue;
        table.add({text_of(letter, "id"), text_of(letter, "refused"), text_of(letter, "route"),
                   text_of(letter, "topic"), human_bytes(number_of(letter, "payload_bytes")),
                   text_of(letter, "reason")});
    }
    command.out << table.render();
    if (const std::string next = line_of(*reply, "next_after"); !next.empty())
        command.out << fmt::format("there may be more: --after {}\n", next);
    return 0;
}

Answered<int> show_dead(const Command& command, const BridgeOptions& options) {
    const auto letter = ask_json(command, bridge_path(options, fmt::format("/dead/{}", options.id)));
    if (!letter) return Err{letter.error()};
    const auto payload = payload_of(*letter);
    if (!payload) return Err{payload.error()};
    if (options.raw) {
        command.out.write(payload->data(), static_cast<std::streamsize>(payload->size())).flush();
        if (!command.out) return Err{Failure{"the payload could not be written", exit_not_done}};
    } else if (command.as_json) {
        print(command, *letter);
    } else {
        print_letter(command, *letter, *payload);
    }
    return 0;
}

Answered<int> retry_dead(const Command& command, const BridgeOptions& options) {
    return order_dead(command, options, "retry", "retried", "wait in the spool again");
}

Answered<int> drop_dead(const Command& command, const BridgeOptions& options) {
    return order_dead(command, options, "drop", "dropped", "are dropped");
}

}  // namespace sluice::app
