#include "admin/metrics_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <unordered_map>
#include <unordered_set>

namespace sluice::admin {
namespace {

using shard::BridgeState;
using shard::BridgeStatus;
using shard::MetricKind;
using shard::MetricSample;

struct BridgeMetric {
    std::string_view name, help;
    MetricKind kind;
    double (*value)(const BridgeStatus&);
};
constexpr auto gauge = MetricKind::gauge;
constexpr auto counter = MetricKind::counter;

constexpr BridgeMetric bridge_metrics[] = {
    {"sluice_bridge_connected", "Whether the upstream takes messages now.", gauge,
     [](const BridgeStatus& b) {
         return b.state == BridgeState::connected || b.state == BridgeState::progressing ? 1.0 : 0.0;
     }},
    {"sluice_bridge_in_total", "Messages that entered the spool.", counter,
     [](const BridgeStatus& b) { return double(b.in_messages); }},
    {"sluice_bridge_confirmed_total", "Messages that the upstream has confirmed.", counter,
     [](const BridgeStatus& b) { return double(b.confirmed); }},
    {"sluice_bridge_refused_total", "Messages that the upstream refused for good.", counter,
     [](const BridgeStatus& b) { return double(b.refused); }},
    {"sluice_bridge_redelivered_total", "Messages offered again after a disconnect or restart.", counter,
     [](const BridgeStatus& b) { return double(b.redelivered); }},
    {"sluice_bridge_retried_total", "Messages offered again because the upstream did not take them then.",
     counter, [](const BridgeStatus& b) { return double(b.retried); }},
    {"sluice_bridge_replaced_total", "Messages that made way for a newer one of their topic.", counter,
     [](const BridgeStatus& b) { return double(b.replaced); }},
    {"sluice_bridge_thinned_total", "Messages left out by the thinning of their route.", counter,
     [](const BridgeStatus& b) { return double(b.thinned); }},
    {"sluice_bridge_dead_letters", "Messages that the upstream refused for good and that are kept.", gauge,
     [](const BridgeStatus& b) { return double(b.dead); }},
    {"sluice_bridge_dead_letters_dropped_total", "Dead letters pushed out by newer ones.", counter,
     [](const BridgeStatus& b) { return double(b.dead_dropped); }},
    {"sluice_bridge_spool_messages", "Messages that wait, those in flight included.", gauge,
     [](const BridgeStatus& b) { return double(b.spool_messages); }},
    {"sluice_bridge_spool_bytes", "Bytes of the messages that wait.", gauge,
     [](const BridgeStatus& b) { return double(b.spool_bytes); }},
    {"sluice_bridge_oldest_seconds", "Age of the oldest message that waits; 0 when none does.", gauge,
     [](const BridgeStatus& b) { return b.oldest_age_s; }},
    {"sluice_bridge_arrival_rate", "Messages a second that entered the spool, over about the last minute.",
     gauge, [](const BridgeStatus& b) { return b.arrival_rate; }},
    {"sluice_bridge_confirm_rate", "Messages a second that were confirmed, over about the last minute.",
     gauge, [](const BridgeStatus& b) { return b.confirm_rate; }},
};

/// Left out when negative: Prometheus has no number for "never".
constexpr BridgeMetric forecast_metrics[] = {
    {"sluice_bridge_full_in_seconds", "When the spool is full at these rates; left out when never.", gauge,
     [](const BridgeStatus& b) { return b.full_in_s; }},
    {"sluice_bridge_empty_in_seconds", "When the spool is empty at these rates; left out when never.", gauge,
     [](const BridgeStatus& b) { return b.empty_in_s; }},
};

/// Of bridges that have this direction.
constexpr BridgeMetric down_metrics[] = {
    {"sluice_bridge_down_receiving", "Whether messages can come down from the upstream now.", gauge,
     [](const BridgeStatus& b) { return b.down_problem.empty() ? 1.0 : 0.0; }},
    {"sluice_bridge_down_received_total", "Messages received from the upstream.", counter,
     [](const BridgeStatus& b) { return double(b.down_received); }},
    {"sluice_bridge_down_kept_total", "Of these, those that are durable here and settled.", counter,
     [](const BridgeStatus& b) { return double(b.down_kept); }},
    {"sluice_bridge_down_refused_total", "Of these, those that fit no topic, or were too large.", counter,
     [](const BridgeStatus& b) { return double(b.down_refused); }},
    {"sluice_bridge_down_own_total", "Of these, those that had gone up from here and were left out.", counter,
     [](const BridgeStatus& b) { return double(b.down_own); }},
    {"sluice_bridge_down_unsettled", "Messages received and not settled yet.", gauge,
     [](const BridgeStatus& b) { return double(b.down_unsettled); }},
};

constexpr BridgeState states[] = {BridgeState::connecting, BridgeState::connected, BridgeState::progressing,
                                  BridgeState::stalled,    BridgeState::blocked,   BridgeState::full,
                                  BridgeState::paused,     BridgeState::stopped};

void add_bridge(std::vector<MetricSample>& samples, const BridgeStatus& bridge) {
    const std::string labels =
        fmt::format("bridge=\"{}\",type=\"{}\"", escape_label(bridge.name), escape_label(bridge.type));
    const auto add = [&](const BridgeMetric& metric) {
        samples.push_back({metric.name, metric.help, metric.kind, labels, metric.value(bridge)});
    };
    for (const auto& metric : bridge_metrics) add(metric);
    for (const auto& metric : forecast_metrics)
        if (metric.value(bridge) >= 0) add(metric);
    if (bridge.has_down)
        for (const auto& metric : down_metrics) add(metric);
    const std::pair<std::string_view, std::uint64_t> dropped[] = {
        {"full", bridge.dropped_full}, {"expired", bridge.dropped_expired}, {"other", bridge.dropped_other}};
    for (const auto& [reason, count] : dropped) {
        samples.push_back({"sluice_bridge_dropped_total", "Messages dropped from the spool, by reason.",
                           counter, fmt::format("{},reason=\"{}\"", labels, reason), double(count)});
    }
    for (const auto state : states) {
        samples.push_back({"sluice_bridge_state", "1 for the state that the bridge is in, 0 for the others.",
                           gauge, fmt::format("{},state=\"{}\"", labels, shard::name_of(state)),
                           state == bridge.state ? 1.0 : 0.0});
    }
}

std::string value_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    constexpr double exact_max = 9007199254740992.0;  // 2^53
    if (std::floor(value) == value && std::fabs(value) <= exact_max) {
        return fmt::format("{}", static_cast<std::int64_t>(value));
    }
    return fmt::format("{}", value);
}

std::string escape_help(std::string_view help) {
    std::string out;
    for (const char c : help) {
        if (c == '\\') {
            out += "\\\\";
        } else if (c == '\n') {
            out += "\\n";
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace

std::vector<MetricSample> collect_samples(const shard::StatsSource& stats) {
    std::vector<MetricSample> derived;
    for (const auto& bridge : stats.bridges()) add_bridge(derived, bridge);
    const auto health = stats.health();
    const auto add = [&](std::string_view name, std::string_view help, std::string labels, double value) {
        derived.push_back({name, help, gauge, std::move(labels), value});
    };
    add("sluice_live", "Whether every thread of the broker turns.", "", health.live ? 1 : 0);
    add("sluice_ready", "Whether clients are served.", "", health.ready ? 1 : 0);
    add("sluice_alarms", "Alarms that are raised now.", "", double(health.alarms.size()));
    add("sluice_build_info", "The version of the broker.", "version=\"" SLUICE_VERSION "\"", 1);

    std::vector<MetricSample> samples = stats.metrics();
    std::unordered_set<std::string_view> told;
    for (const MetricSample& sample : samples) told.insert(sample.name);
    for (MetricSample& sample : derived) {
        if (!told.contains(sample.name)) samples.push_back(std::move(sample));
    }
    return samples;
}

std::string render_metrics(const std::vector<MetricSample>& samples) {
    std::vector<std::vector<const MetricSample*>> families;
    std::unordered_map<std::string_view, std::size_t> index_of;
    for (const MetricSample& sample : samples) {
        const auto [it, is_new] = index_of.try_emplace(sample.name, families.size());
        if (is_new) families.emplace_back();
        families[it->second].push_back(&sample);
    }
    std::string out;
    for (const auto& family : families) {
        const MetricSample& first = *family.front();
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", first.name, escape_help(first.help), first.name,
                           first.kind == MetricKind::counter ? "counter" : "gauge");
        for (const MetricSample* sample : family) {
            out += sample->name;
            if (!sample->labels.empty()) out += fmt::format("{{{}}}", sample->labels);
            out += fmt::format(" {}\n", value_text(sample->value));
        }
    }
    return out;
}

std::string escape_label(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
    return out;
}

std::vector<std::pair<std::string, std::string>> split_labels(std::string_view labels) {
    std::vector<std::pair<std::string, std::string>> out;
    std::size_t at = 0;
    while (at < labels.size()) {
        const std::size_t equals = labels.find("=\"", at);
        if (equals == std::string_view::npos) break;
        const std::string key(labels.substr(at, equals - at));
        std::string value;
        for (at = equals + 2; at < labels.size() && labels[at] != '"'; ++at) {
            if (labels[at] == '\\' && at + 1 < labels.size()) {
                value += labels[++at] == 'n' ? '\n' : labels[at];
            } else {
                value += labels[at];
            }
        }
        out.emplace_back(key, std::move(value));
        at += 1;  // the closing quote
        if (at < labels.size() && labels[at] == ',') ++at;
    }
    return out;
}

}  // namespace sluice::admin
