#include "app/ctl_bridge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "admin/percent.hpp"
#include "app/logging.hpp"
#include "app/table.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;

constexpr std::size_t line_width_max = 120, reason_width_min = 20;

/// A forecast is rough: no more digits than it is worth.
std::string describe_wait(double seconds) {
    if (seconds < 120) return fmt::format("{:.0f} s", seconds);
    if (seconds < 2 * 3600) return fmt::format("{:.0f} min", seconds / 60);
    if (seconds < 48 * 3600) return fmt::format("{:.0f} h", seconds / 3600);
    return fmt::format("{:.0f} d", seconds / 86400);
}

/// `text` is printable; its characters are not torn apart.
std::string cut(const std::string& text, std::size_t width) {
    if (width_of(text) <= width) return text;
    std::size_t end = 0, taken = 0;
    while (end < text.size()) {
        const bool begins = (static_cast<unsigned char>(text[end]) & 0xc0) != 0x80;
        if (begins && taken++ == width - 3) break;
        ++end;
    }
    return text.substr(0, end) + "...";
}

Table bridge_columns() {
    using Align = Table::Align;
    return Table({{"BRIDGE"},
                  {"TYPE"},
                  {"STATE"},
                  {"WAITING", Align::right},
                  {"SIZE", Align::right},
                  {"OLDEST", Align::right},
                  {"CONFIRMED", Align::right},
                  {"DROPPED", Align::right},
                  {"DEAD", Align::right},
                  {"REASON"}});
}

std::string render_bridges(const json& bridges, std::size_t reason_width) {
    Table table = bridge_columns();
    for (const json& bridge : bridges) {
        if (!bridge.is_object()) continue;
        table.add({text_of(bridge, "name"), text_of(bridge, "type"), text_of(bridge, "state"),
                   count_of(bridge, "spool_messages"), human_bytes(number_of(bridge, "spool_bytes")),
                   human_age(number_of(bridge, "oldest_age_s")), count_of(bridge, "confirmed"),
                   count_of(bridge, "dropped"), count_of(bridge, "dead"),
                   cut(line_of(bridge, "reason"), reason_width)});
    }
    return table.render();
}

void print_down(const Command& command, const json& bridge) {
    const auto down = bridge.find("down");
    if (down == bridge.end() || !down->is_object()) return;
    const std::string problem = line_of(*down, "problem");
    command.out << fmt::format("down:       {}\n", problem.empty() ? "receiving" : problem)
                << fmt::format(
                       "            {} received, {} kept, {} refused, {} were our own, {} not settled yet\n",
                       count_of(*down, "received"), count_of(*down, "kept"), count_of(*down, "refused"),
                       count_of(*down, "own"), count_of(*down, "unsettled"));
}

void print_bridge(const Command& command, const json& bridge) {
    const auto count = [&](const char* key) { return count_of(bridge, key); };
    const double waiting = number_of(bridge, "spool_messages");
    command.out << fmt::format("bridge {} ({}): {}\n", line_of(bridge, "name"), line_of(bridge, "type"),
                               line_of(bridge, "state"));
    if (const std::string reason = line_of(bridge, "reason"); !reason.empty())
        command.out << "reason:     " << reason << '\n';
    command.out << fmt::format("waiting:    {} messages, {}", count("spool_messages"),
                               human_bytes(number_of(bridge, "spool_bytes")));
    if (waiting > 0)
        command.out << fmt::format(", the oldest for {}", human_age(number_of(bridge, "oldest_age_s")));
    command.out << fmt::format("\nrates:      {:.1f}/s arrive, {:.1f}/s are confirmed\n",
                               number_of(bridge, "arrival_rate"), number_of(bridge, "confirm_rate"));
    const std::string forecast =
        describe_forecast(forecast_of(bridge, "full_in_s"), forecast_of(bridge, "empty_in_s"));
    if (!forecast.empty()) {
        command.out << "forecast:   " << forecast << '\n';
    } else if (waiting > 0) {
        command.out << "forecast:   neither full nor empty at these rates\n";
    }
    command.out << fmt::format("up:         {} entered, {} confirmed, {} refused for good\n",
                               count("in_messages"), count("confirmed"), count("refused"))
                << fmt::format(
                       "            {} offered again after a disconnect, {} after a refusal for a while, {} "
                       "replaced\n",
                       count("redelivered"), count("retried"), count("replaced"))
                << fmt::format("dropped:    {}: {} spool full, {} expired, {} other\n", count("dropped"),
                               count("dropped_full"), count("dropped_expired"), count("dropped_other"))
                << fmt::format("dead:       {} now, {} were pushed out\n", count("dead"),
                               count("dead_dropped"));
    print_down(command, bridge);
}

Answered<int> order_pause(const Command& command, const BridgeOptions& options, const char* verb,
                          const char* told) {
    const auto reply = order_json(command, bridge_path(options, std::string("/") + verb));
    if (!reply) return Err{reply.error()};
    if (command.as_json) {
        print(command, *reply);
    } else {
        command.out << fmt::format("bridge {} {}\n", printable_line(options.name), told);
    }
    return 0;
}

}  // namespace

std::string bridge_path(const BridgeOptions& options, const std::string& rest) {
    return "/api/v1/bridges/" + admin::encode_percent(options.name) + rest;
}

std::string describe_forecast(double full_in_s, double empty_in_s) {
    std::string text;
    if (full_in_s >= 0) text = "full in " + describe_wait(full_in_s);
    if (empty_in_s >= 0) text += (text.empty() ? "empty in " : ", empty in ") + describe_wait(empty_in_s);
    return text;
}

std::string bridges_table(const json& bridges) {
    if (bridges.empty()) return "no bridges\n";
    // REASON ends the head: what stands before it is as wide as it will be with any reasons.
    const std::string bare = render_bridges(bridges, 3);
    const std::string head = bare.substr(0, bare.find('\n'));
    const std::size_t before = head.size() - std::string_view("REASON").size();
    return render_bridges(bridges,
                          std::max(reason_width_min, line_width_max - std::min(line_width_max, before)));
}

Answered<int> list_bridges(const Command& command) {
    const auto bridges = fetch_json(command, "/api/v1/bridges");
    if (!bridges) return Err{bridges.error()};
    if (command.as_json) {
        print(command, *bridges);
    } else {
        command.out << bridges_table(list_of(*bridges, "bridges"));
    }
    return 0;
}

Answered<int> show_bridge(const Command& command, const BridgeOptions& options) {
    const auto bridge = ask_json(command, bridge_path(options));
    if (!bridge) return Err{bridge.error()};
    if (command.as_json) {
        print(command, *bridge);
    } else {
        print_bridge(command, *bridge);
    }
    return 0;
}

Answered<int> pause_bridge(const Command& command, const BridgeOptions& options) {
    return order_pause(
        command, options, "pause",
        "is paused until it is resumed, or the broker starts again: what comes waits in its spool");
}

Answered<int> resume_bridge(const Command& command, const BridgeOptions& options) {
    return order_pause(command, options, "resume", "is resumed");
}

Answered<int> list_leftovers(const Command& command) {
    const auto reply = ask_json(command, "/api/v1/spools");
    if (!reply) return Err{reply.error()};
    if (command.as_json) {
        print(command, *reply);
        return 0;
    }
    const json spools = list_of(*reply, "spools");
    if (spools.empty()) {
        command.out << "no leftovers: every backlog belongs to a route of the settings\n";
        return 0;
    }
    Table table({{"BRIDGE"}, {"ROUTE"}, {"WAITING", Table::Align::right}, {"SIZE", Table::Align::right}});
    for (const json& spool : spools) {
        if (!spool.is_object()) continue;
        table.add({text_of(spool, "bridge"), text_of(spool, "route"), count_of(spool, "messages"),
                   human_bytes(number_of(spool, "bytes"))});
    }
    command.out << table.render();
    return 0;
}

Answered<int> forget_leftover(const Command& command, const BridgeOptions& options) {
    const json body = options.all ? json{{"all", true}} : json{{"route", options.route}};
    const auto reply = order_json(command, bridge_path(options, "/forget"), body);
    if (!reply) return Err{reply.error()};
    if (command.as_json) {
        print(command, *reply);
    } else {
        command.out << fmt::format("{} messages are forgotten\n", count_of(*reply, "forgotten"));
    }
    return 0;
}

}  // namespace sluice::app
