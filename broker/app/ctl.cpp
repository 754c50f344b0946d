#include "app/ctl.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "admin/http_client.hpp"
#include "app/ctl_passwd.hpp"
#include "app/ctl_store.hpp"
#include "app/logging.hpp"
#include "app/table.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;

constexpr int exit_alarm = 1;
constexpr int exit_usage_ctl = 2;
constexpr int exit_no_broker = 3;
constexpr std::string_view store_prefix = "sluice_store_";

/// What ends a command early: a line for the operator.
struct Failure {
    std::string line;
};
template <class T>
using Answered = Result<T, Failure>;

struct Command {
    std::string url = "http://127.0.0.1:9883";
    bool as_json = false;
    std::ostream& out;
};

Answered<std::string> fetch(const Command& command, const std::string& path) {
    const auto reply = admin::http_get(command.url, path);
    if (!reply) {
        return Err{
            Failure{fmt::format("no broker answers at {}: {} (is sluiced running, and is there an [admin] "
                                "table in its settings?)",
                                printable_line(command.url), printable_line(reply.error()))}};
    }
    if (reply->status == 200) return reply->body;
    return Err{Failure{fmt::format("{}{} answers {}: is it the admin port of a sluiced?",
                                   printable_line(command.url), path, reply->status)}};
}

Answered<json> fetch_json(const Command& command, const std::string& path) {
    const auto body = fetch(command, path);
    if (!body) return Err{body.error()};
    json parsed = json::parse(*body, nullptr, false);
    if (parsed.is_object()) return parsed;
    return Err{Failure{fmt::format("{}{} does not answer with JSON: is it the admin port of a sluiced?",
                                   printable_line(command.url), path)}};
}

/// Values of another broker version may be missing or of another type: shown as nothing rather than refused.
std::string text_of(const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}
double number_of(const json& object, const char* key) {
    const auto it = object.find(key);
    return it != object.end() && it->is_number() ? it->get<double>() : 0;
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

void print_health(const Command& command, const json& health) {
    command.out << fmt::format("sluiced {}: {}, {}\n", printable_line(text_of(health, "version")),
                               truth_of(health, "live") ? "live" : "NOT LIVE",
                               truth_of(health, "ready") ? "ready" : "NOT READY");
    const json alarms = list_of(health, "alarms");
    if (alarms.empty()) command.out << "no alarms\n";
    for (const json& alarm : alarms) {
        command.out << fmt::format("ALARM  {}\n",
                                   alarm.is_string() ? printable_line(alarm.get<std::string>()) : "?");
    }
}

int health_code(const json& health) {
    return truth_of(health, "live") && list_of(health, "alarms").empty() ? 0 : exit_alarm;
}

std::string bridges_table(const json& bridges) {
    using Align = Table::Align;
    if (bridges.empty()) return "no bridges\n";
    Table table({{"BRIDGE"},
                 {"TYPE"},
                 {"STATE"},
                 {"WAITING", Align::right},
                 {"SIZE", Align::right},
                 {"OLDEST", Align::right},
                 {"CONFIRMED", Align::right},
                 {"REFUSED", Align::right},
                 {"DROPPED", Align::right},
                 {"REASON"}});
    for (const json& bridge : bridges) {
        if (!bridge.is_object()) continue;
        table.add({text_of(bridge, "name"), text_of(bridge, "type"), text_of(bridge, "state"),
                   count_of(bridge, "spool_messages"), human_bytes(number_of(bridge, "spool_bytes")),
                   human_age(number_of(bridge, "oldest_age_s")), count_of(bridge, "confirmed"),
                   count_of(bridge, "refused"), count_of(bridge, "dropped"), text_of(bridge, "reason")});
    }
    return table.render();
}

/// Every gauge that the broker has, summed over its labels; the bridges have a table of their own.
std::string gauges_table(const json& metrics) {
    std::map<std::string, double> sums;
    for (const json& sample : metrics) {
        const std::string name = text_of(sample, "name");
        const bool elsewhere = name.starts_with("sluice_bridge_") || name == "sluice_live" ||
                               name == "sluice_ready" || name == "sluice_alarms" ||
                               name == "sluice_build_info";
        if (text_of(sample, "kind") == "gauge" && !elsewhere) sums[name] += number_of(sample, "value");
    }
    if (sums.empty()) return "";
    Table table({{"GAUGE"}, {"VALUE", Table::Align::right}});
    for (const auto& [name, sum] : sums) {
        const bool bytes = name.ends_with("_bytes");
        table.add({name, bytes ? human_bytes(sum) : fmt::format("{}", sum)});
    }
    return table.render();
}

Answered<int> show_health(const Command& command) {
    const auto health = fetch_json(command, "/api/v1/health");
    if (!health) return Err{health.error()};
    if (command.as_json) {
        print(command, *health);
    } else {
        print_health(command, *health);
    }
    return health_code(*health);
}

Answered<int> show_bridges(const Command& command) {
    const auto bridges = fetch_json(command, "/api/v1/bridges");
    if (!bridges) return Err{bridges.error()};
    if (command.as_json) {
        print(command, *bridges);
    } else {
        command.out << bridges_table(list_of(*bridges, "bridges"));
    }
    return 0;
}

Answered<int> show_metrics(const Command& command) {
    const auto body = fetch(command, command.as_json ? "/api/v1/metrics" : "/metrics");
    if (!body) return Err{body.error()};
    command.out << *body;
    return 0;
}

Answered<int> show_status(const Command& command) {
    const auto health = fetch_json(command, "/api/v1/health");
    if (!health) return Err{health.error()};
    const auto bridges = fetch_json(command, "/api/v1/bridges");
    if (!bridges) return Err{bridges.error()};
    const auto metrics = fetch_json(command, "/api/v1/metrics");
    if (!metrics) return Err{metrics.error()};
    if (command.as_json) {
        print(command, {{"health", *health},
                        {"bridges", list_of(*bridges, "bridges")},
                        {"metrics", list_of(*metrics, "metrics")}});
        return health_code(*health);
    }
    print_health(command, *health);
    const std::string gauges = gauges_table(list_of(*metrics, "metrics"));
    if (!gauges.empty()) command.out << '\n' << gauges;
    command.out << '\n' << bridges_table(list_of(*bridges, "bridges"));
    return health_code(*health);
}

/// The store in the broker's own words: what it holds, what may grow, and what has been written to the disk
/// for it.
Answered<int> show_store(const Command& command) {
    const auto metrics = fetch_json(command, "/api/v1/metrics");
    if (!metrics) return Err{metrics.error()};
    json found = json::object();
    json causes = json::object();
    for (const json& sample : list_of(*metrics, "metrics")) {
        const std::string name = text_of(sample, "name");
        if (!name.starts_with(store_prefix)) continue;
        const std::string key = name.substr(store_prefix.size());
        const auto labels = sample.find("labels");
        const std::string cause = labels != sample.end() ? text_of(*labels, "cause") : std::string();
        (cause.empty() ? found[key] : causes[cause][key]) = number_of(sample, "value");
    }
    const bool waits = number_of(found, "in_trouble") != 0;
    if (command.as_json) {
        found["written"] = causes;
        print(command, found);
        return waits ? exit_alarm : 0;
    }
    const auto size_of = [&](const char* key) { return human_bytes(number_of(found, key)); };
    command.out << fmt::format("store: {}\n", waits ? "TROUBLE: `sluicectl health` says what" : "writes")
                << fmt::format(
                       "file: {} of at most {}; {} free on the disk, of which {} are left to others\n",
                       size_of("file_bytes"), size_of("file_max_bytes"), size_of("disk_free_bytes"),
                       size_of("disk_free_min_bytes"))
                << fmt::format("messages waiting: {}; commits: {}, the longest {:.0f} ms\n\n",
                               count_of(found, "rows"), count_of(found, "commits_total"),
                               number_of(found, "commit_max_seconds") * 1000);
    Table table({{"WRITTEN FOR"}, {"BYTES", Table::Align::right}, {"FSYNCS", Table::Align::right}});
    for (const auto& [cause, counts] : causes.items())
        table.add(
            {cause, human_bytes(number_of(counts, "written_bytes_total")), count_of(counts, "fsyncs_total")});
    command.out << table.render();
    return waits ? exit_alarm : 0;
}

void add_store(CLI::App& cli, StoreOptions& options, const std::function<void()>& ask_broker) {
    using Task = StoreOptions::Task;
    auto* store =
        cli.add_subcommand("store", "Sessions, queues and retained messages on disk")->require_subcommand(1);
    store->fallthrough();
    store->add_subcommand("status", "Size, limits, and what was written for what")->callback(ask_broker);
    const auto add = [&](const char* name, const char* help, Task task) {
        auto* command =
            store->add_subcommand(name, help)->callback([&options, task] { options.task = task; });
        command->fallthrough();
        command->add_option("--data-dir", options.data_dir, "broker.data_dir of the settings")
            ->capture_default_str();
        return command;
    };
    add("check", "Reads all of the store, or of a backup; also beside a running broker", Task::check)
        ->add_option("FILE", options.file, "A backup; left out: the store itself");
    add("backup", "Copies the store as it is now; also beside a running broker", Task::backup)
        ->add_option("FILE", options.file, "The copy; must not exist")
        ->required();
    add("restore", "Puts a backup in the place of the store; no broker may run on it", Task::restore)
        ->add_option("FILE", options.file, "The backup; it stays")
        ->required();
}

void add_passwd(CLI::App& cli, PasswdOptions& options) {
    auto* passwd = cli.add_subcommand("passwd", "Sets or removes a user in the broker's password file");
    passwd->add_option("FILE", options.file, "The file that auth.password_file names; made when missing")
        ->required();
    passwd->add_option("NAME", options.user_name, "The user name")->required();
    passwd->add_flag("--stdin", options.from_stdin, "Read the password from the standard input");
    auto* remove = passwd->add_flag("--delete", options.remove, "Remove the user");
    auto* scram = passwd->add_flag("--scram")->description(
        "For SCRAM-SHA-256, and for user name and password: what is done without --mosquitto");
    passwd->add_flag("--mosquitto", options.mosquitto, "As mosquitto_passwd: not for SCRAM-SHA-256")
        ->excludes(scram)
        ->excludes(remove);
    passwd->add_option("--iterations", options.iterations, "Of SCRAM; each login costs the client as many")
        ->check(CLI::Range(auth::ScramKeys::iterations_min, auth::ScramKeys::iterations_max))
        ->capture_default_str();
}

}  // namespace

int answer_ctl(int argc, const char* const* argv, std::istream& in, std::ostream& out, std::ostream& err) {
    Command command{.out = out};
    Answered<int> (*task)(const Command&) = nullptr;

    PasswdOptions passwd;
    StoreOptions store;

    CLI::App cli("Asks a running sluiced by its HTTP port; looks after its store; makes its password file.",
                 "sluicectl");
    cli.require_subcommand(1);
    cli.fallthrough();
    cli.set_version_flag("--version", "sluicectl " SLUICE_VERSION);
    cli.add_option("--url", command.url, "The [admin] address of the broker")->capture_default_str();
    cli.add_flag("--json", command.as_json, "Print JSON");
    cli.add_subcommand("status", "Health, gauges and bridges at a glance")->callback([&] {
        task = show_status;
    });
    cli.add_subcommand("health", "Whether all is well; exit code 1 when not")->callback([&] {
        task = show_health;
    });
    auto* bridge = cli.add_subcommand("bridge", "Bridges to upstreams")->require_subcommand(1);
    bridge->fallthrough();
    bridge->add_subcommand("list", "Their state, backlog and counts")->callback([&] { task = show_bridges; });
    cli.add_subcommand("metrics", "All metrics, as Prometheus reads them")->callback([&] {
        task = show_metrics;
    });
    add_store(cli, store, [&] { task = show_store; });
    add_passwd(cli, passwd);
    try {
        cli.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        out << cli.help();
        return 0;
    } catch (const CLI::CallForVersion& version) {
        out << version.what() << '\n';
        return 0;
    } catch (const CLI::ParseError& wrong) {
        err << "sluicectl: " << wrong.what() << "\nTry: sluicectl --help\n";
        return exit_usage_ctl;
    }
    store.as_json = command.as_json;
    if (store.task != StoreOptions::Task::none) return maintain_store(store, out, err);
    if (task == nullptr) return change_password(passwd, in, out, err);
    const auto answered = task(command);
    if (answered) return *answered;
    err << "sluicectl: " << answered.error().line << '\n';
    return exit_no_broker;
}

}  // namespace sluice::app
