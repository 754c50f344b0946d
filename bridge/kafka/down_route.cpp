#include "bridge/kafka/down_route.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bridge/kafka/engine.hpp"

namespace sluice::bridge::kafka {
namespace {

constexpr std::size_t group_bytes_max = 255;

}  // namespace

std::string DownRoutes::add_topic(Row& row, const std::string& entry) {
    if (!entry.starts_with('^')) {
        auto problem = topic_problem(entry);
        if (problem.empty()) row.names.push_back(entry);
        return problem;
    }
    auto regex = std::make_unique<regex_t>();
    // As librdkafka compiles it: we match again what it has matched, to know whose it is.
    if (const int error = ::regcomp(regex.get(), entry.c_str(), REG_EXTENDED); error != 0) {
        std::array<char, 256> text{};
        ::regerror(error, regex.get(), text.data(), text.size());
        return fmt::format("'{}' is no pattern: {}", entry, text.data());
    }
    row.patterns.emplace_back(regex.release());
    return {};
}

Result<DownRoutes, std::string> DownRoutes::make(const ConnectorSpec& spec) {
    DownRoutes routes;
    for (const RouteSpec& route : spec.down_routes) {
        const auto& settings = *static_cast<const KafkaDown*>(route.settings.get());
        Row& row = routes.rows_.emplace_back();
        row.start = settings.start;
        if (settings.topics.empty())
            return Err{
                fmt::format("{}: topics: the list is empty; expected at least one topic", route.place)};
        for (const std::string& entry : settings.topics) {
            if (const auto problem = add_topic(row, entry); !problem.empty())
                return Err{
                    fmt::format("{}: topics: {}; expected a topic's name, or a pattern that begins with '^'",
                                route.place, problem)};
            if (std::find(routes.topics_.begin(), routes.topics_.end(), entry) == routes.topics_.end())
                routes.topics_.push_back(entry);
        }
        if (settings.group.size() > group_bytes_max)
            return Err{fmt::format("{}: group: the name has {} bytes; expected at most {}", route.place,
                                   settings.group.size(), group_bytes_max)};
        if (!routes.group_.empty() && !settings.group.empty() && settings.group != routes.group_)
            return Err{
                fmt::format("{}: group: '{}' differs from '{}' of an earlier row; expected one group for "
                            "all rows of a bridge (another bridge may have another one)",
                            route.place, settings.group, routes.group_)};
        if (!settings.group.empty()) routes.group_ = settings.group;
    }
    if (routes.group_.empty()) routes.group_ = fmt::format("sluice-{}-{}", spec.origin, spec.bridge_name);
    return routes;
}

std::size_t DownRoutes::row_of(const std::string& topic) const {
    const auto fits = [&](const Row& row) {
        return std::find(row.names.begin(), row.names.end(), topic) != row.names.end() ||
               std::any_of(row.patterns.begin(), row.patterns.end(), [&](const Pattern& pattern) {
                   return ::regexec(pattern.get(), topic.c_str(), 0, nullptr, 0) == 0;
               });
    };
    return static_cast<std::size_t>(std::find_if(rows_.begin(), rows_.end(), fits) - rows_.begin());
}

}  // namespace sluice::bridge::kafka
