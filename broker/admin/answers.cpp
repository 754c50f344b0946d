#include "admin/answers.hpp"

#include <arpa/inet.h>
#include <strings.h>

#include <nlohmann/json.hpp>

#include "admin/bridge_command.hpp"
#include "admin/json_answers.hpp"
#include "admin/metrics_text.hpp"
#include "admin/percent.hpp"

namespace sluice::admin {
namespace {

using nlohmann::json;

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
    return make_json(health_json(health), health.live && health.alarms.empty() ? 200U : 503U);
}
Answer answer_readyz(const shard::StatsSource& stats) {
    const auto health = stats.health();
    return make_json(health_json(health), health.live && health.ready ? 200U : 503U);
}
Answer answer_health(const shard::StatsSource& stats) {
    return make_json(health_json(stats.health()));
}

Answer answer_bridges(const shard::StatsSource& stats) {
    json list = json::array();
    for (const auto& bridge : stats.bridges()) list.push_back(bridge_json(bridge));
    return make_json({{"bridges", std::move(list)}});
}

Answer answer_bridge(const shard::StatsSource& stats, std::string_view name) {
    const auto decoded = decode_percent(name);
    for (const auto& bridge : stats.bridges())
        if (bridge.name == decoded) return make_json(bridge_json(bridge));
    return make_json({{"error", "there is no bridge of this name"}, {"failure", "not_found"}}, 404);
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
                        {"value", number_json(sample.value)}});
    }
    return make_json({{"metrics", std::move(list)}});
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

constexpr std::string_view bridge_prefix = "/api/v1/bridges/";

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
    const bool reads = method == "GET" || method == "HEAD";
    for (const Page& page : pages) {
        if (page.path == path) return reads ? page.answer(stats) : make_not_allowed("GET, HEAD");
    }
    if (path.starts_with(bridge_prefix) && path.find('/', bridge_prefix.size()) == std::string_view::npos)
        return reads ? answer_bridge(stats, path.substr(bridge_prefix.size()))
                     : make_not_allowed("GET, HEAD");
    json known = json::array();
    for (const Page& page : pages) known.push_back(page.path);
    known.push_back("/api/v1/bridges/NAME");
    for (const std::string_view command_path : command_paths()) known.push_back(command_path);
    return make_json({{"error", "there is nothing at this path"}, {"paths", std::move(known)}}, 404);
}

Answer make_error(unsigned status, std::string_view what) {
    return make_json({{"error", what}}, status);
}

Answer make_not_allowed(std::string_view allow) {
    Answer answer = make_error(405, "expected another method: " + std::string(allow));
    answer.allow = allow;
    return answer;
}

bool is_local_host(std::string_view host) {
    const std::string name = without_port(host);
    in6_addr v6{};
    if (::inet_pton(AF_INET6, name.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    in_addr v4{};
    if (::inet_pton(AF_INET, name.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return ::strcasecmp(name.c_str(), "localhost") == 0;
}

bool is_own_origin(std::string_view origin, std::string_view host) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!origin.starts_with(scheme)) continue;
        const std::string_view authority = origin.substr(scheme.size());
        if (::strcasecmp(std::string(authority).c_str(), std::string(host).c_str()) != 0) return false;
        const std::string name = without_port(host);
        in6_addr address{};  // large enough for both
        return ::inet_pton(AF_INET6, name.c_str(), &address) == 1 ||
               ::inet_pton(AF_INET, name.c_str(), &address) == 1 ||
               ::strcasecmp(name.c_str(), "localhost") == 0;
    }
    return false;
}

}  // namespace sluice::admin
