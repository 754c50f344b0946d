#include "app/ctl_store.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "app/logging.hpp"
#include "app/table.hpp"
#include "store/data_dir.hpp"
#include "store/maintenance.hpp"

namespace sluice::app {
namespace {

using nlohmann::json;

constexpr int exit_damage = 1;

int fail(std::ostream& err, const std::string& reason) {
    err << "sluicectl: " << printable_line(reason) << '\n';
    return exit_damage;
}

/// `more`: where a copy went, and what was set aside.
int tell(const StoreOptions& options, std::ostream& out, const std::string& what,
         const store::StoreReport& report, const json& more = json::object()) {
    if (options.as_json) {
        json told = {{"file_bytes", report.file_bytes}, {"schema", report.schema},
                     {"sessions", report.sessions},     {"subscriptions", report.subscriptions},
                     {"messages", report.messages},     {"retained", report.retained},
                     {"damage", report.damage}};
        told.update(more);
        out << told.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
    } else {
        out << fmt::format(
            "{}: {}\n  {} sessions, {} subscriptions, {} messages waiting, {} retained; {}, schema {}\n",
            printable_line(what), report.damage.empty() ? "good" : "DAMAGED", report.sessions,
            report.subscriptions, report.messages, report.retained,
            human_bytes(static_cast<double>(report.file_bytes)), report.schema);
        for (const std::string& line : report.damage) out << "  " << printable_line(line) << '\n';
        for (const auto& [key, value] : more.items())
            out << fmt::format("  {}: {}\n", key, printable_line(value.get<std::string>()));
    }
    return report.damage.empty() ? 0 : exit_damage;
}

}  // namespace

int maintain_store(const StoreOptions& options, std::ostream& out, std::ostream& err) {
    const std::string store = options.data_dir + "/" + store::store_name;
    if (options.task == StoreOptions::Task::check) {
        const std::string& file = options.file.empty() ? store : options.file;
        const auto report = store::check_store(file);
        return report ? tell(options, out, file, *report) : fail(err, report.error());
    }
    if (options.task == StoreOptions::Task::backup) {
        const auto report = store::back_up_store(options.data_dir, options.file);
        return report ? tell(options, out, options.file, *report) : fail(err, report.error());
    }
    const auto restored = store::restore_store(options.file, options.data_dir);
    if (!restored) return fail(err, restored.error());
    json more = json::object();
    if (!restored->set_aside.empty()) more["set_aside"] = restored->set_aside;
    return tell(options, out, store, restored->report, more);
}

}  // namespace sluice::app
