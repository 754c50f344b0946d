#include "admin/bridge_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "admin/json_answers.hpp"
#include "admin/percent.hpp"

namespace sluice::admin {
namespace {

using nlohmann::json;
using shard::BridgeControl;
using Kind = BridgeCommand::Kind;
/// A line for the operator.
using Problem = std::optional<std::string>;

std::optional<std::uint64_t> read_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return {};
    return number;
}

Problem read_nothing(const CommandRequest& request, BridgeCommand&) {
    if (request.body.empty() || json::parse(request.body, nullptr, false) == json::object()) return {};
    return "expected no body";
}

Problem read_range(const CommandRequest& request, BridgeCommand& command) {
    const std::size_t question = request.target.find('?');
    std::string_view query = question == std::string_view::npos ? "" : request.target.substr(question + 1);
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        const std::string_view key = pair.substr(0, pair.find('='));
        const auto number = read_number(pair.substr(std::min(pair.size(), key.size() + 1)));
        if (key == "after" && number) {
            command.after = *number;
        } else if (key == "count" && number && *number >= 1 && *number <= BridgeCommand::count_max_max) {
            command.count_max = *number;
        } else {
            return fmt::format("the query: expected after=ID and count=N, N from 1 to {}",
                               BridgeCommand::count_max_max);
        }
    }
    return {};
}

/// The one pair of the object in the body; null when it is none.
json read_pair(std::string_view body, const char* key) {
    const json object = json::parse(body, nullptr, false);
    if (!object.is_object() || object.size() != 1) return nullptr;
    return object.value(key, json());
}

std::optional<std::uint64_t> read_id(const json& id) {
    if (id.is_number_unsigned()) return id.get<std::uint64_t>();
    return id.is_string() ? read_number(id.get_ref<const std::string&>()) : std::nullopt;
}

/// All is said with a word of its own: a list that happens to be empty, or is forgotten, must not mean it.
Problem read_ids(const CommandRequest& request, BridgeCommand& command) {
    if (read_pair(request.body, "all") == json(true)) return {};
    const json ids = read_pair(request.body, "ids");
    for (const json& one : ids) {
        const auto id = read_id(one);
        if (!id) break;
        command.ids.push_back(*id);
    }
    const std::size_t told = command.ids.size();
    if (!ids.is_array() || told == 0 || told != ids.size() || told > BridgeCommand::ids_max) {
        return fmt::format("the body: expected {{\"ids\": [ID, ...]}} with 1 to {} ids, or {{\"all\": true}}",
                           BridgeCommand::ids_max);
    }
    std::sort(command.ids.begin(), command.ids.end());
    command.ids.erase(std::unique(command.ids.begin(), command.ids.end()), command.ids.end());
    return {};
}

Problem read_route(const CommandRequest& request, BridgeCommand& command) {
    if (read_pair(request.body, "all") == json(true)) return {};
    const json route = read_pair(request.body, "route");
    if (!route.is_string() || route.get_ref<const std::string&>().empty())
        return "the body: expected {\"route\": \"NAME\"}, or {\"all\": true}";
    command.route = route.get<std::string>();
    return {};
}

struct CommandPage {
    std::string_view path;
    Kind kind;
    bool changes;  ///< POST, else GET
    Problem (*read)(const CommandRequest&, BridgeCommand&);
};
constexpr CommandPage pages[] = {
    {"/api/v1/bridges/NAME/pause", Kind::pause, true, read_nothing},
    {"/api/v1/bridges/NAME/resume", Kind::resume, true, read_nothing},
    {"/api/v1/bridges/NAME/forget", Kind::forget, true, read_route},
    {"/api/v1/bridges/NAME/dead/retry", Kind::retry_dead, true, read_ids},
    {"/api/v1/bridges/NAME/dead/drop", Kind::drop_dead, true, read_ids},
    {"/api/v1/bridges/NAME/dead/ID", Kind::show_dead, false, read_nothing},
    {"/api/v1/bridges/NAME/dead", Kind::list_dead, false, read_range},
    {"/api/v1/spools", Kind::leftovers, false, read_nothing},
};

/// Whether the path is of this form; what stands in the places of NAME and ID, as it stands there.
bool matches(std::string_view form, std::string_view path, std::string_view& name, std::string_view& id) {
    while (true) {
        const std::string_view want = form.substr(0, form.find('/')), got = path.substr(0, path.find('/'));
        if (want == "NAME") {
            name = got;
        } else if (want == "ID") {
            id = got;
        } else if (want != got) {
            return false;
        }
        if (want.size() == form.size() || got.size() == path.size())
            return want.size() == form.size() && got.size() == path.size();
        form.remove_prefix(want.size() + 1);
        path.remove_prefix(got.size() + 1);
    }
}

std::optional<Answer> check_sender(const CommandRequest& request) {
    if (request.origin && !is_own_origin(*request.origin, request.host))
        return make_error(403,
                          "web pages from elsewhere give no commands here: the Origin header is foreign");
    if (request.mark != "1")
        return make_error(403, "expected the header X-Sluice-Request: 1, without which nothing is changed");
    return {};
}

Result<BridgeCommand, Answer> read_page(const CommandPage& page, const CommandRequest& request,
                                        std::string_view name, std::string_view id) {
    const std::string_view allow = page.changes ? "POST" : "GET, HEAD";
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (page.changes ? request.method != "POST" : !reads) return Err{make_not_allowed(allow)};
    if (page.changes) {
        if (auto wrong = check_sender(request)) return Err{*std::move(wrong)};
    }
    BridgeCommand command;
    command.kind = page.kind;
    auto decoded = decode_percent(name);
    if (!decoded) return Err{make_error(400, "the path: expected two hexadecimal digits behind each %")};
    command.bridge = *std::move(decoded);
    if (page.kind == Kind::show_dead) {
        const auto number = read_number(id);
        if (!number) return Err{make_error(400, "the path: expected the number of a dead letter")};
        command.id = *number;
    }
    if (const Problem problem = page.read(request, command)) return Err{make_error(400, *problem)};
    return command;
}

Answer make_failure(const BridgeControl::Error& error) {
    using Failure = BridgeControl::Failure;
    unsigned status = 504;
    std::string_view failure = "timed_out";
    if (error.failure == Failure::not_found) {
        status = 404;
        failure = "not_found";
    } else if (error.failure == Failure::conflict) {
        status = 409;
        failure = "conflict";
    }
    return make_json({{"error", error.text}, {"failure", failure}}, status);
}

Answer answer_count(const BridgeControl::Done<std::size_t>& done, const char* key) {
    return done ? make_json({{key, *done}}) : make_failure(done.error());
}

Answer answer_pause(const BridgeControl::Done<void>& done, const BridgeCommand& command, bool paused) {
    return done ? make_json({{"bridge", command.bridge}, {"paused", paused}}) : make_failure(done.error());
}

Answer list_dead(const BridgeCommand& command, BridgeControl& control) {
    const auto letters = control.dead_letters(command.bridge, command.after, command.count_max);
    if (!letters) return make_failure(letters.error());
    json list = json::array();
    for (const auto& letter : *letters) list.push_back(dead_letter_json(letter));
    const bool more = letters->size() >= command.count_max;
    return make_json({{"dead", std::move(list)},
                      {"next_after", more ? json(std::to_string(letters->back().id)) : json(nullptr)}});
}

Answer show_dead(const BridgeCommand& command, BridgeControl& control) {
    const auto letter = control.dead_letter(command.bridge, command.id);
    return letter ? make_json(whole_dead_letter_json(*letter)) : make_failure(letter.error());
}

Answer list_leftovers(BridgeControl& control) {
    const auto spools = control.leftovers();
    if (!spools) return make_failure(spools.error());
    json list = json::array();
    for (const auto& spool : *spools) {
        list.push_back({{"bridge", spool.bridge},
                        {"route", spool.route},
                        {"messages", spool.messages},
                        {"bytes", spool.bytes}});
    }
    return make_json({{"spools", std::move(list)}});
}

}  // namespace

std::optional<Result<BridgeCommand, Answer>> read_command(const CommandRequest& request) {
    const std::string_view path = request.target.substr(0, request.target.find('?'));
    for (const CommandPage& page : pages) {
        std::string_view name, id;
        if (matches(page.path, path, name, id)) return read_page(page, request, name, id);
    }
    return {};
}

Answer run_command(const BridgeCommand& command, BridgeControl& control) {
    switch (command.kind) {
        case Kind::pause:
            return answer_pause(control.pause(command.bridge), command, true);
        case Kind::resume:
            return answer_pause(control.resume(command.bridge), command, false);
        case Kind::list_dead:
            return list_dead(command, control);
        case Kind::show_dead:
            return show_dead(command, control);
        case Kind::retry_dead:
            return answer_count(control.retry_dead(command.bridge, command.ids), "retried");
        case Kind::drop_dead:
            return answer_count(control.drop_dead(command.bridge, command.ids), "dropped");
        case Kind::forget:
            return answer_count(control.forget(command.bridge, command.route), "forgotten");
        case Kind::leftovers:
            break;
    }
    return list_leftovers(control);
}

std::vector<std::string_view> command_paths() {
    std::vector<std::string_view> paths;
    for (const CommandPage& page : pages) paths.push_back(page.path);
    return paths;
}

}  // namespace sluice::admin
