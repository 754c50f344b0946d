#include "bridge/runner.hpp"

#include <charconv>
#include <map>

#include <fmt/format.h>

#include "base/log.hpp"

namespace sluice::bridge {
namespace {

// Connected, with messages waiting, and nothing confirmed for so long: it says "connected" and forwards
// nothing.
constexpr auto stalled_after = std::chrono::seconds(15);
constexpr auto stop_grace = std::chrono::seconds(2);

core::WhenFull when_full_of(SpoolFull full) {
    switch (full) {
        case SpoolFull::drop_oldest:
            return core::WhenFull::drop_oldest;
        case SpoolFull::drop_newest:
            return core::WhenFull::drop_newest;
        case SpoolFull::reject:
            return core::WhenFull::reject;
    }
    return core::WhenFull::drop_oldest;
}

std::string session_name(const std::string& bridge, std::size_t route, std::size_t spool) {
    return fmt::format("$bridge/{}/{}/{}", bridge, route, spool);
}

std::int64_t mono_ms() {
    return Now::read().mono.time_since_epoch().count();
}

}  // namespace

Result<std::unique_ptr<BridgeRunner>, std::string> BridgeRunner::create(BridgeSettings settings,
                                                                        const ConnectorModule& module,
                                                                        shard::InletSet& inlets,
                                                                        const std::string& origin) {
    const auto lanes = static_cast<std::uint32_t>(settings.routes.size() * inlets.size());
    ConnectorSpec spec{.bridge_name = settings.name,
                       .place = settings.place,
                       .settings = settings.connector,
                       .routes = {},
                       .down_routes = {},
                       .origin = origin,
                       .inflight_messages_max = lanes * settings.spool.inflight_max};
    std::vector<std::shared_ptr<const Condition>> conditions;
    for (const RouteSettings& route : settings.routes) {
        spec.routes.push_back({.from = route.from, .place = route.place, .settings = route.connector});
        if (route.when.empty()) {
            conditions.emplace_back();
            continue;
        }
        auto condition = Condition::parse(route.when);
        if (!condition) return Err{fmt::format("{}: key `when`: {}", route.place, condition.error())};
        conditions.push_back(std::make_shared<const Condition>(std::move(condition).value()));
    }
    auto connector = module.create(std::move(spec));
    if (!connector) return Err{connector.error()};
    std::unique_ptr<BridgeRunner> runner(new BridgeRunner(std::move(settings), inlets));
    runner->connector_ = std::move(connector).value();
    runner->conditions_ = std::move(conditions);
    runner->reason_ = "not tried yet";
    return runner;
}

BridgeRunner::~BridgeRunner() {
    stop();
}

void BridgeRunner::start(shard::LinkNumber first_number, const std::vector<std::string>& recovered) {
    first_number_ = first_number;
    const std::size_t shards = inlets_.size();
    for (std::uint32_t route = 0; route < settings_.routes.size(); ++route) {
        for (std::size_t shard = 0; shard < shards; ++shard) add_lane(route, shard, shard, true);
        // The broker ran with more shards once: what waits in their spools goes up as well, but nothing new
        // enters them.
        const std::string prefix = fmt::format("$bridge/{}/{}/", settings_.name, route);
        for (const std::string& client_id : recovered) {
            if (!client_id.starts_with(prefix)) continue;
            std::size_t spool = 0;
            std::from_chars(client_id.data() + prefix.size(), client_id.data() + client_id.size(), spool);
            if (spool >= shards) add_lane(route, spool % shards, spool, false);
        }
    }
    std::vector<LaneName> names;
    for (const auto& lane : lanes_) names.push_back({lane->number, lane->name});
    connector_->start(*this, std::move(names));
}

core::QueueBounds BridgeRunner::bounds_per_lane() const {
    // The bounds of the spool are for the whole bridge; each lane gets an equal part, so that the sum holds
    // whatever comes.
    const std::size_t parts = std::max<std::size_t>(1, settings_.routes.size() * inlets_.size());
    core::QueueBounds bounds;
    bounds.messages_max = std::max<std::size_t>(1, settings_.spool.messages_max / parts);
    bounds.bytes_max = std::max<std::size_t>(1, settings_.spool.bytes_max / parts);
    bounds.age_max = settings_.spool.age_max;
    bounds.when_full = when_full_of(settings_.spool.full);
    bounds.window_messages =
        std::max<std::size_t>(bounds.window_messages, 2UL * settings_.spool.inflight_max);
    return bounds;
}

ThinningRules BridgeRunner::thinning_per_lane(const RouteSettings& route) const {
    return {.sample = route.sample,
            .interval_min = route.interval_min,
            .rate_per_s = static_cast<double>(route.rate_max) / static_cast<double>(inlets_.size())};
}

void BridgeRunner::add_lane(std::uint32_t route, std::size_t shard, std::size_t spool, bool subscribes) {
    auto record = std::make_unique<LaneRecord>();
    record->name = fmt::format("{}/{}", route, spool);
    record->number = first_number_ + static_cast<shard::LinkNumber>(lanes_.size());
    record->route = route;
    record->shard = shard;
    const RouteSettings& settings = settings_.routes[route];

    shard::LinkSpec spec;
    spec.number = record->number;
    spec.client_id = session_name(settings_.name, route, spool);
    spec.bounds = bounds_per_lane();
    spec.accepts = make_accepts(conditions_[route], thinning_per_lane(settings), record->stats.thinned);
    spec.ack_upstream = settings.ack == RouteAck::upstream;
    if (subscribes) {
        core::SubscriptionOptions options;
        options.qos = wire::QoS::at_least_once;
        options.retain_as_published = true;
        options.local_only = true;
        options.at_least_once = true;
        spec.subscriptions.push_back({settings.from, options});
    }
    const auto shards = static_cast<std::uint32_t>(inlets_.size());
    LaneSpec lane{
        .number = record->number,
        .route = route,
        .inflight_max = static_cast<std::uint16_t>(settings_.spool.inflight_max),
        .drain_rate = settings_.spool.drain_rate == 0 ? 0 : std::max(1U, settings_.spool.drain_rate / shards),
        .label = fmt::format("bridge '{}', route from '{}'", settings_.name, settings.from)};
    Upstream& upstream = *this;
    spec.make = [&upstream, lane,
                 stats = &record->stats](shard::LinkHost& host) -> std::unique_ptr<shard::Link> {
        return std::make_unique<Lane>(lane, host, upstream, *stats);
    };
    lanes_.push_back(std::move(record));
    inlets_.at(shard).post_link(std::move(spec));
}

void BridgeRunner::stop() {
    if (stopped_ || !connector_) return;
    stopped_ = true;
    connector_->stop(stop_grace);
    up_ = false;
}

void BridgeRunner::tell_all(const shard::LinkNote& note) {
    for (const auto& lane : lanes_) inlets_.at(lane->shard).post_note(lane->number, note);
}

void BridgeRunner::set_reason(const std::string& reason) {
    const std::lock_guard lock(reason_mutex_);
    reason_ = reason;
}

void BridgeRunner::on_up(std::uint64_t epoch) {
    up_ = true;
    stalled_ = false;
    set_reason({});
    log::info(fmt::format("bridge '{}': connected", settings_.name));
    tell_all(shard::UpstreamUp{epoch});
}

void BridgeRunner::on_stalled(const std::string& reason) {
    stalled_ = !reason.empty();
    set_reason(reason);
    if (reason.empty()) {
        log::info(fmt::format("bridge '{}': goes on", settings_.name));
    } else {
        log::warn(fmt::format("bridge '{}': the upstream makes us wait: {}", settings_.name, reason));
    }
}

void BridgeRunner::on_down(const std::string& reason) {
    const bool was_up = up_.exchange(false);
    bool news = was_up;
    {
        const std::lock_guard lock(reason_mutex_);
        news |= reason_ != reason;
        reason_ = reason;
    }
    if (news) log::warn(fmt::format("bridge '{}': not connected: {}", settings_.name, reason));
    if (was_up) tell_all(shard::UpstreamDown{reason});
}

void BridgeRunner::on_confirm(std::span<const Confirm> confirms) {
    std::map<shard::LinkNumber, shard::UpstreamConfirmed> by_lane;
    for (const Confirm& confirm : confirms) {
        const bool delivered = confirm.outcome == Outcome::delivered;
        const auto route = lanes_[confirm.lane - first_number_]->route;
        const bool let_go =
            confirm.outcome == Outcome::unmappable && settings_.routes[route].on_missing == OnMissing::drop;
        by_lane[confirm.lane].confirms.push_back({confirm.tag, delivered, confirm.reason, let_go});
        if (delivered || let_go) continue;
        set_reason("refused: " + confirm.reason);
    }
    for (auto& [number, note] : by_lane) {
        const LaneRecord& lane = *lanes_[number - first_number_];
        inlets_.at(lane.shard).post_note(number, std::move(note));
    }
}

shard::BridgeStatus BridgeRunner::status() const {
    shard::BridgeStatus status;
    status.name = settings_.name;
    status.type = settings_.type;
    std::int64_t oldest = 0, progress = 0;
    for (const auto& lane : lanes_) {
        const LaneStats& s = lane->stats;
        status.confirmed += s.confirmed.load(std::memory_order_relaxed);
        status.refused += s.refused.load(std::memory_order_relaxed);
        status.redelivered += s.redelivered.load(std::memory_order_relaxed);
        status.dropped += s.dropped.load(std::memory_order_relaxed);
        status.thinned += s.thinned.load(std::memory_order_relaxed);
        const auto waiting = s.backlog_messages.load(std::memory_order_relaxed);
        status.spool_messages += waiting;
        status.spool_bytes += s.backlog_bytes.load(std::memory_order_relaxed);
        const auto since = s.oldest_wall_ms.load(std::memory_order_relaxed);
        if (waiting > 0 && since > 0 && (oldest == 0 || since < oldest)) oldest = since;
        progress = std::max(progress, s.progress_mono_ms.load(std::memory_order_relaxed));
    }
    status.in_messages = status.confirmed + status.dropped + status.spool_messages;
    if (oldest > 0) {
        status.oldest_age_s =
            std::max(0.0, static_cast<double>(Now::read().wall.time_since_epoch().count() - oldest) / 1000.0);
    }
    {
        const std::lock_guard lock(reason_mutex_);
        status.reason = reason_;
    }
    status.state = up_ ? shard::BridgeState::connected : shard::BridgeState::connecting;
    const bool waits = status.spool_messages > 0;
    const bool silent = mono_ms() - progress > std::chrono::milliseconds(stalled_after).count();
    if (up_ && waits && (silent || stalled_)) status.state = shard::BridgeState::stalled;
    if (stopped_) status.state = shard::BridgeState::stopped;
    return status;
}

}  // namespace sluice::bridge
