#include "app/ctl_broker.hpp"

#include <fmt/format.h>

#include <ostream>

#include "admin/http_client.hpp"
#include "app/logging.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;

// A command waits for those before it, and for the shards.
constexpr std::chrono::seconds order_timeout{30};
constexpr unsigned not_found = 404, method_not_allowed = 405;

Failure no_answer(const Command& command, const std::string& reason) {
    return {
        fmt::format("no broker answers at {}: {} (is sluiced running, and is there an [admin] table in its "
                    "settings?)",
                    printable_line(command.url), printable_line(reason))};
}

Answered<json> read_json(const Command& command, const std::string& path, const std::string& body) {
    json parsed = json::parse(body, nullptr, false);
    if (parsed.is_object()) return parsed;
    return Err{Failure{fmt::format("{}{} does not answer with JSON: is it the admin port of a sluiced?",
                                   printable_line(command.url), path)}};
}

/// The broker says why it does not do something; a broker of an older version does not know the path at all.
Answered<json> read_reply(const Command& command, const std::string& path, const admin::HttpReply& reply) {
    auto parsed = read_json(command, path, reply.body);
    if (!parsed || reply.status == 200) return parsed;
    std::string line = line_of(*parsed, "error");
    if (line.empty()) line = fmt::format("the broker answers {}", reply.status);
    const bool unknown = reply.status == not_found || reply.status == method_not_allowed;
    if (unknown && !parsed->contains("failure")) line += " (is the broker older than this sluicectl?)";
    return Err{Failure{std::move(line), exit_not_done}};
}

}  // namespace

Answered<std::string> fetch(const Command& command, const std::string& path) {
    const auto reply = admin::http_get(command.url, path);
    if (!reply) return Err{no_answer(command, reply.error())};
    if (reply->status == 200) return reply->body;
    return Err{Failure{fmt::format("{}{} answers {}: is it the admin port of a sluiced?",
                                   printable_line(command.url), path, reply->status)}};
}

Answered<json> fetch_json(const Command& command, const std::string& path) {
    const auto body = fetch(command, path);
    if (!body) return Err{body.error()};
    return read_json(command, path, *body);
}

Answered<json> ask_json(const Command& command, const std::string& path) {
    const auto reply = admin::http_get(command.url, path, order_timeout);
    if (!reply) return Err{no_answer(command, reply.error())};
    return read_reply(command, path, *reply);
}

Answered<json> order_json(const Command& command, const std::string& path, const json& body) {
    const auto reply =
        admin::http_post(command.url, path, body.is_null() ? std::string() : body.dump(), order_timeout);
    if (!reply) return Err{no_answer(command, reply.error())};
    return read_reply(command, path, *reply);
}

std::string text_of(const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}
std::string line_of(const json& object, const char* key) {
    return printable_line(text_of(object, key));
}
double number_of(const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_number() ? it->get<double>() : 0;
}
double forecast_of(const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_number() ? it->get<double>() : -1;
}
bool truth_of(const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_boolean() && it->get<bool>();
}
json list_of(const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_array() ? *it : json::array();
}
std::string count_of(const json& object, const char* key) {
    return fmt::format("{:.0f}", number_of(object, key));
}

void print(const Command& command, const json& value) {
    command.out << value.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
}

}  // namespace sluice::app
