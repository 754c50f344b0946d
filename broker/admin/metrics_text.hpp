#pragma once
/// Metrics as Prometheus reads them (text format 0.0.4).
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shard/stats.hpp"

namespace sluice::admin {

/// What the source counts, and what follows from its bridges and its health: `sluice_bridge_...`,
/// `sluice_live`, `sluice_ready`, `sluice_alarms`, `sluice_build_info`; of these only what the source does
/// not count itself.
std::vector<shard::MetricSample> collect_samples(const shard::StatsSource& stats);

/// Samples of one name stand together under one HELP and one TYPE, in the order of their first appearance.
std::string render_metrics(const std::vector<shard::MetricSample>& samples);

/// A label's value with backslash, quote and line end escaped.
std::string escape_label(std::string_view value);
/// The way back: `qos="1",shard="0"` to pairs. What is not of that form is left out.
std::vector<std::pair<std::string, std::string>> split_labels(std::string_view labels);

}  // namespace sluice::admin
