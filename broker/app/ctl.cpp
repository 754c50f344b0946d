#include "app/ctl.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>

#include "app/ctl_bridge.hpp"
#include "app/ctl_broker.hpp"
#include "app/ctl_passwd.hpp"
#include "app/ctl_store.hpp"
#include "app/logging.hpp"
#include "app/table.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;

constexpr int exit_alarm = exit_not_done;
constexpr std::string_view store_prefix = "sluice_store_";

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

using Task = std::function<Answered<int>(const Command&)>;
using BridgeTask = Answered<int> (*)(const Command&, const BridgeOptions&);

/// CLI11 itself takes "-1", and what is too large, for the largest number.
std::string check_id(const std::string& text) {
    std::uint64_t id = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (wrong == std::errc() && end == text.data() + text.size()) return {};
    return "expected the id of a dead letter, a number";
}

CLI::App* add_named(CLI::App* group, const char* verb, const char* help, BridgeOptions& options, Task& task,
                    BridgeTask chosen) {
    auto* command = group->add_subcommand(verb, help)->callback([&options, &task, chosen] {
        task = [&options, chosen](const Command& asked) { return chosen(asked, options); };
    });
    command->add_option("NAME", options.name, "The name of the bridge")->required();
    return command;
}

void add_bridge(CLI::App& cli, BridgeOptions& options, Task& task) {
    auto* bridge = cli.add_subcommand("bridge", "Bridges to upstreams")->require_subcommand(1);
    bridge->fallthrough();
    const auto add = [&](const char* verb, const char* help, BridgeTask chosen) {
        return add_named(bridge, verb, help, options, task, chosen);
    };
    bridge->add_subcommand("list", "Their state, backlog and counts")->callback([&task] {
        task = list_bridges;
    });
    add("show", "All about one, with a forecast", show_bridge);
    add("pause", "Sends nothing more up, and takes nothing down; what comes waits in the spool",
        pause_bridge);
    add("resume", "Goes on", resume_bridge);
    bridge->add_subcommand("leftovers", "The backlogs of bridges and routes that the settings have no more")
        ->callback([&task] { task = list_leftovers; });
    auto* what = add("forget", "Gives up such a backlog for good", forget_leftover)->add_option_group("what");
    what->add_option("--route", options.route, "Of this route")->check([](const std::string& route) {
        return route.empty() ? std::string("expected the name of a route") : std::string();
    });
    what->add_flag("--all", options.all, "Of the whole bridge");
    what->require_option(1);
}

void add_dead(CLI::App& cli, BridgeOptions& options, Task& task) {
    auto* dead =
        cli.add_subcommand("dead", "Messages that an upstream has refused for good")->require_subcommand(1);
    dead->fallthrough();
    const auto add = [&](const char* verb, const char* help, BridgeTask chosen) {
        return add_named(dead, verb, help, options, task, chosen);
    };
    auto* list = add("list", "In the order of their ids", list_dead);
    list->add_option("--after", options.after, "Those behind this id")
        ->check(check_id)
        ->capture_default_str();
    list->add_option("--count", options.count, "At most as many")
        ->check(CLI::Range(1U, BridgeOptions::count_max))
        ->capture_default_str();
    auto* show = add("show", "One of them, with its payload", show_dead);
    show->add_option("ID", options.id, "Its id")->required()->check(check_id);
    show->add_flag("--raw", options.raw, "Write nothing but the payload, as it is");
    const auto add_ids = [&](CLI::App* command) {
        auto* what = command->add_option_group("which");
        what->add_option("ID", options.ids, "Their ids")
            ->check(check_id)
            ->expected(1, BridgeOptions::ids_max);
        what->add_flag("--all", options.all, "All of the bridge");
        what->require_option(1);
    };
    add_ids(add("retry", "Puts them back into the spool, behind what waits there", retry_dead));
    add_ids(add("drop", "Gives them up for good", drop_dead));
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
    Task task;

    BridgeOptions bridge;
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
    add_bridge(cli, bridge, task);
    add_dead(cli, bridge, task);
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
    if (!task) return change_password(passwd, in, out, err);
    const auto answered = task(command);
    if (answered) return *answered;
    err << "sluicectl: " << answered.error().line << '\n';
    return answered.error().exit_code;
}

}  // namespace sluice::app
