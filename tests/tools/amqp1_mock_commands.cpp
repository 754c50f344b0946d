#include "tests/tools/amqp1_mock_server.hpp"

namespace amqp1_mock {
namespace {

constexpr const char* help_text =
    "down | up | messages ADDRESS | rule ADDRESS accept|reject|release|modify|undeliverable|ignore COUNT "
    "[CONDITION "
    "TEXT...] | reject_subject ADDRESS SUBJECT | credit ADDRESS N | limit ADDRESS BYTES | "
    "size_error ADDRESS BYTES | missing ADDRESS CONDITION TEXT... | missing_end ADDRESS CONDITION TEXT... | "
    "present ADDRESS | "
    "detach ADDRESS CONDITION TEXT... | close CONDITION TEXT... | end CONDITION TEXT... | links | "
    "put ADDRESS JSON | rule_left ADDRESS | waiting ADDRESS | outcomes ADDRESS | quit";

}  // namespace

void Server::run_commands() {
    std::deque<std::string> commands;
    {
        const std::lock_guard lock(mutex_);
        commands.swap(commands_);
    }
    for (const auto& line : commands) {
        std::istringstream words(line);
        std::string name;
        words >> name;
        if (const std::string said = run_command(name, words); !said.empty()) answer(said);
    }
    for (pn_connection_t* connection : connections_) pn_connection_wake(connection);
}

std::string Server::run_command(const std::string& name, std::istringstream& words) {
    if (name == "quit") {
        ended_ = true;
        return "ok";
    }
    if (name == "down") {
        pn_proactor_disconnect(proactor_, nullptr);
        return is_up_ ? "" : "ok";
    }
    if (name == "up") {
        if (!is_up_) listen();
        return is_up_ ? "ok" : "";
    }
    if (name == "links") return std::to_string(count_links());
    if (name == "close" || name == "end") return close_all(name == "end", words);
    std::string address;
    if (!(words >> address)) return std::string("error: expected ") + help_text;
    Node& node = nodes_[address];
    if (name == "messages") return Json(node.arrived).dump(-1, ' ', false, Json::error_handler_t::replace);
    if (name == "waiting") return std::to_string(node.waiting.size());
    if (name == "rule_left") return std::to_string(node.rule.count);
    if (name == "outcomes") return node.outcomes.dump();
    if (name == "credit") return words >> node.credit ? "ok" : "error: expected a number";
    if (name == "limit") return words >> node.limit ? "ok" : "error: expected a number";
    if (name == "size_error") return words >> node.size_error ? "ok" : "error: expected a number";
    if (name == "reject_subject") {
        std::string subject;
        words >> subject;
        node.rejected_subjects.insert(subject);
        return "ok";
    }
    if (name == "put") {
        std::string json;
        std::getline(words, json);
        node.waiting.push_back(encode(Json::parse(json)));
        return "ok";
    }
    if (name == "rule") {
        node.rule = {};
        words >> node.rule.outcome >> node.rule.count >> node.rule.condition >> std::ws;
        std::getline(words, node.rule.text);
        return "ok";
    }
    node.missing_ends_session = name == "missing_end";
    if (name == "missing" || name == "missing_end" || name == "detach")
        return withhold(address, name == "detach", words);
    if (name == "present") {
        node.missing.clear();
        return "ok";
    }
    return std::string("error: unknown command; expected ") + help_text;
}

std::string Server::withhold(const std::string& address, bool detach, std::istringstream& words) {
    std::string condition, text;
    words >> condition >> std::ws;
    std::getline(words, text);
    if (!detach) {
        nodes_[address].missing = condition;
        nodes_[address].missing_text = text;
        return "ok";
    }
    for_links([&](pn_link_t* link) {
        if (address_of(link) != address) return;
        take_back(link);
        set_condition(pn_link_condition(link), condition, text);
        pn_link_close(link);
    });
    return "ok";
}

std::string Server::close_all(bool sessions, std::istringstream& words) {
    std::string condition, text;
    words >> condition >> std::ws;
    std::getline(words, text);
    for (pn_connection_t* connection : connections_) {
        pn_session_t* session = pn_session_head(connection, PN_LOCAL_ACTIVE);
        if (sessions && session) {
            set_condition(pn_session_condition(session), condition, text);
            pn_session_close(session);
        } else if (!sessions) {
            set_condition(pn_connection_condition(connection), condition, text);
            pn_connection_close(connection);
        }
    }
    return "ok";
}

int Server::count_links() {
    int count = 0;
    for_links([&](pn_link_t*) { ++count; });
    return count;
}

}  // namespace amqp1_mock
