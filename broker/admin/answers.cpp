#include "admin/answers.hpp"

#include <arpa/inet.h>
#include <strings.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "admin/metrics_text.hpp"

namespace sluice::admin {
namespace {

using nlohmann::json;

/// What upstreams tell us may be any bytes: what is not UTF-8 is replaced, never thrown.
std::string dump(const json& value) {
    return value.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

json health_json(const shard::Health& health) {
    return {{"status", !health.live            ? "dead"
                       : health.alarms.empty() ? "ok"
                                               : "alarm"},
            {"live", health.live},
            {"ready", health.ready},
            {"alarms", health.alarms},
            {"version", SLUICE_VERSION}};
}

Answer answer_healthz(const shard::StatsSource& stats) {
    const auto health = stats.health();
    return {health.live && health.alarms.empty() ? 200U : 503U, "application/json",
            dump(health_json(health))};
}
Answer answer_readyz(const shard::StatsSource& stats) {
    const auto health = stats.health();
    return {health.live && health.ready ? 200U : 503U, "application/json", dump(health_json(health))};
}
Answer answer_health(const shard::StatsSource& stats) {
    return {200, "application/json", dump(health_json(stats.health()))};
}

Answer answer_bridges(const shard::StatsSource& stats) {
    json list = json::array();
    for (const auto& bridge : stats.bridges()) {
        list.push_back({{"name", bridge.name},
                        {"type", bridge.type},
                        {"state", shard::name_of(bridge.state)},
                        {"reason", bridge.reason},
                        {"in_messages", bridge.in_messages},
                        {"confirmed", bridge.confirmed},
                        {"refused", bridge.refused},
                        {"redelivered", bridge.redelivered},
                        {"dropped", bridge.dropped},
                        {"thinned", bridge.thinned},
                        {"spool_messages", bridge.spool_messages},
                        {"spool_bytes", bridge.spool_bytes},
                        {"oldest_age_s", bridge.oldest_age_s}});
    }
    return {200, "application/json", dump({{"bridges", std::move(list)}})};
}

json number(double value) {
    constexpr double exact_max = 9007199254740992.0;  // 2^53: beyond it a double is not every integer
    if (!std::isfinite(value)) return nullptr;
    if (std::floor(value) == value && std::fabs(value) <= exact_max) return static_cast<std::int64_t>(value);
    return value;
}

Answer answer_metrics_json(const shard::StatsSource& stats) {
    json list = json::array();
    for (const auto& sample : collect_samples(stats)) {
        json labels = json::object();
        for (const auto& [key, value] : split_labels(sample.labels)) labels[key] = value;
        list.push_back({{"name", sample.name},
                        {"kind", sample.kind == shard::MetricKind::counter ? "counter" : "gauge"},
                        {"help", sample.help},
                        {"labels", std::move(labels)},
                        {"value", number(sample.value)}});
    }
    return {200, "application/json", dump({{"metrics", std::move(list)}})};
}

Answer answer_metrics(const shard::StatsSource& stats) {
    return {200, "text/plain; version=0.0.4; charset=utf-8", render_metrics(collect_samples(stats))};
}

struct Page {
    std::string_view path;
    Answer (*answer)(const shard::StatsSource&);
};
constexpr Page pages[] = {
    {"/metrics", answer_metrics},      {"/healthz", answer_healthz},
    {"/readyz", answer_readyz},        {"/api/v1/bridges", answer_bridges},
    {"/api/v1/health", answer_health}, {"/api/v1/metrics", answer_metrics_json},
};

/// "[::1]:9883", "127.0.0.1:9883" and "localhost" without the port and the brackets; empty when malformed.
std::string without_port(std::string_view host) {
    const bool bracket = host.starts_with('[');
    const std::size_t end = bracket ? host.find(']') : host.find(':');
    if (bracket && end == std::string_view::npos) return {};
    const std::string_view name = host.substr(bracket ? 1 : 0, bracket ? end - 1 : end);
    const std::string_view rest = end == std::string_view::npos ? "" : host.substr(end + (bracket ? 1 : 0));
    const bool is_port =
        rest.starts_with(':') && rest.find_first_not_of("0123456789", 1) == std::string_view::npos;
    return rest.empty() || is_port ? std::string(name) : std::string();
}

}  // namespace

Answer answer_request(std::string_view method, std::string_view target, const shard::StatsSource& stats) {
    const std::string_view path = target.substr(0, target.find('?'));
    for (const Page& page : pages) {
        if (page.path != path) continue;
        if (method == "GET" || method == "HEAD") return page.answer(stats);
        Answer answer = make_error(405, "only GET and HEAD are answered here");
        answer.only_get = true;
        return answer;
    }
    Answer answer = make_error(404, "there is nothing at this path");
    json known = json::array();
    for (const Page& page : pages) known.push_back(page.path);
    answer.body = dump({{"error", "there is nothing at this path"}, {"paths", std::move(known)}});
    return answer;
}

Answer make_error(unsigned status, std::string_view what) {
    return {status, "application/json", dump({{"error", what}})};
}

bool is_local_host(std::string_view host) {
    const std::string name = without_port(host);
    in6_addr v6{};
    if (::inet_pton(AF_INET6, name.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    in_addr v4{};
    if (::inet_pton(AF_INET, name.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return ::strcasecmp(name.c_str(), "localhost") == 0;
}

}  // namespace sluice::admin
