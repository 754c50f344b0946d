#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "bridge/file/engine.hpp"
#include "bridge/file/file_name.hpp"
#include "bridge/file/settings.hpp"
#include "bridge/module_export.hpp"

namespace sluice::bridge::file {
namespace {

std::optional<mode_t> parse_mode(std::string_view text) {
    mode_t mode = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && text.size() >= 3 && text.size() <= 4 && mode <= 0777 ? std::optional(mode) : std::nullopt;
}

/// What the rows cannot check; empty when all is well.
std::string settings_problem(const FileSettings& settings) {
    if (settings.directory.empty()) return "directory: is empty; expected a folder that exists";
    const auto age = settings.rotate_age.count();
    if (age > 0 && age < 1000)
        return fmt::format("rotate_age: {} ms is too short; expected at least \"1s\", or 0 for never", age);
    if (settings.files_bytes_max > 0 && settings.files_bytes_max / 2 < settings.rotate_bytes)
        return fmt::format(
            "files_bytes_max: {} bytes are too few; expected at least twice rotate_bytes = {}, "
            "or 0 for no limit",
            settings.files_bytes_max, settings.rotate_bytes);
    // Without it the bridge could not go on with its own files.
    const auto mode = parse_mode(settings.mode);
    if (!mode || (*mode & 0600) != 0600 || (*mode & 0111) != 0)
        return fmt::format(
            "mode: '{}' is no mode of such files; expected octal digits such as \"0640\" that let "
            "the owner read and write and nobody execute",
            settings.mode);
    return {};
}

Result<Route, std::string> make_route(const RouteSpec& spec, const std::string& origin) {
    const auto& settings = *static_cast<const FileRoute*>(spec.settings.get());
    auto file = Template::parse(settings.file, origin);
    if (!file) return Err{fmt::format("{}: file: {}", spec.place, file.error())};
    if (file->is_literal()) {
        const auto base = file->render(*core::Message::freeze({}));
        if (const auto problem = base_problem(*base); !problem.empty())
            return Err{fmt::format("{}: file: {}", spec.place, problem)};
    }
    return Route{std::move(file).value(), {settings.payload, settings.headers}};
}

Result<std::unique_ptr<Connector>, std::string> create(ConnectorSpec spec) {
    const auto& settings = *static_cast<const FileSettings*>(spec.settings.get());
    if (const auto problem = settings_problem(settings); !problem.empty())
        return Err{fmt::format("{}: {}", spec.place, problem)};
    std::vector<Route> routes;
    for (const auto& route_spec : spec.routes) {
        auto route = make_route(route_spec, spec.origin);
        if (!route) return Err{route.error()};
        routes.push_back(std::move(route).value());
    }
    std::string name = spec.bridge_name;
    const mode_t mode = *parse_mode(settings.mode);
    return make_connector(std::move(name),
                          std::make_unique<FileEngine>(std::move(spec), settings, mode, std::move(routes)));
}

}  // namespace
}  // namespace sluice::bridge::file

SLUICE_EXPORT_MODULE const sluice::bridge::ConnectorModule sluice_connector_module{
    .abi = sluice::bridge::connector_abi,
    .type = "file",
    .set_log_sink = &sluice::bridge::adopt_log_sink,
    .set_clock_history = &sluice::bridge::adopt_clock_history,
    .bridge_rows = &sluice::bridge::file::bridge_rows,
    .route_rows = &sluice::bridge::file::route_rows,
    .make_bridge_settings = &sluice::bridge::make_settings_struct<sluice::bridge::file::FileSettings>,
    .make_route_settings = &sluice::bridge::make_settings_struct<sluice::bridge::file::FileRoute>,
    .create = &sluice::bridge::file::create,
};
