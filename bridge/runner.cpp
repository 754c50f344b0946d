#include "bridge/runner.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include <fmt/format.h>

#include "base/log.hpp"

namespace sluice::bridge {
namespace {

constexpr auto stop_grace = std::chrono::seconds(2);
/// What a shard does with one note it does in one go, and its clients wait meanwhile.
constexpr std::size_t confirms_per_note = 64;

/// Unique in the process, also across reloads.
std::atomic<shard::LinkNumber> next_number{1};

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

std::string session_name(std::string_view bridge, std::string_view route, std::size_t shard) {
    return fmt::format("{}{}/{}/{}", shard::bridge_session_prefix, bridge, route, shard);
}

/// A session has no more packet ids.
std::uint16_t inflight_per_lane(const BridgeSettings& settings) {
    return static_cast<std::uint16_t>(std::min(settings.spool.inflight_max, 65'535U));
}

/// Beside the spools: no route has an empty name.
std::string dead_name(std::string_view bridge, std::size_t shard) {
    return fmt::format("{}{}//dead/{}", shard::bridge_session_prefix, bridge, shard);
}

}  // namespace

/// The way of lanes to the connector, until that stops.
class BridgeRunner::Offers final : public Upstream {
  public:
    explicit Offers(Connector& connector) : connector_(&connector) {}
    void offer(std::uint64_t epoch, std::vector<Outgoing> batch) override {
        const std::lock_guard lock(mutex_);
        if (connector_ != nullptr) connector_->offer(epoch, std::move(batch));
    }
    void close() {
        const std::lock_guard lock(mutex_);
        connector_ = nullptr;
    }

  private:
    std::mutex mutex_;
    Connector* connector_;
};

/// "plant/+/telemetry" is "plant.+.telemetry": a '.' or '%' of its own is escaped, so that no two are alike.
std::vector<std::string> route_names(const std::vector<RouteSettings>& routes) {
    std::vector<std::string> names;
    for (const RouteSettings& route : routes) {
        std::string name = route.name;
        for (const char c : name.empty() ? std::string_view(route.from) : std::string_view()) {
            if (c == '/') {
                name += '.';
            } else if (c == '.' || c == '%') {
                name += c == '.' ? "%2E" : "%25";
            } else {
                name += c;
            }
        }
        const std::string plain = name;
        for (int i = 2; std::find(names.begin(), names.end(), name) != names.end(); ++i)
            name = fmt::format("{}-{}", plain, i);
        names.push_back(std::move(name));
    }
    return names;
}

BridgeRunner::BridgeRunner(BridgeSettings settings, shard::InletSet& inlets)
    : settings_(std::move(settings)),
      route_names_(bridge::route_names(settings_.routes)),
      inlets_(inlets),
      pace_(std::make_shared<DrainPace>(settings_.spool.drain_rate)),
      reason_("no answer yet"),
      down_problem_("no answer yet") {}

BridgeRunner::~BridgeRunner() {
    stop();
}

Result<std::unique_ptr<BridgeRunner>, std::string> BridgeRunner::create(BridgeSettings settings,
                                                                        const ConnectorModule& module,
                                                                        shard::InletSet& inlets,
                                                                        const std::string& origin,
                                                                        const std::string& store_id) {
    std::unique_ptr<BridgeRunner> runner(new BridgeRunner(std::move(settings), inlets));
    const BridgeSettings& given = runner->settings_;
    const auto lanes = static_cast<std::uint32_t>(given.routes.size() * inlets.size());
    ConnectorSpec spec{.bridge_name = given.name,
                       .place = given.place,
                       .settings = given.connector,
                       .routes = {},
                       .down_routes = {},
                       .origin = origin,
                       .store_id = store_id,
                       .down_inflight_max = given.down_inflight_max,
                       .inflight_messages_max = std::max(1U, lanes * inflight_per_lane(given))};
    if (auto parsed = runner->parse_routes(spec); !parsed) return Err{parsed.error()};
    if (auto parsed = runner->parse_downs(spec, origin); !parsed) return Err{parsed.error()};
    auto connector = module.create(std::move(spec));
    if (!connector) return Err{connector.error()};
    runner->connector_ = std::move(connector).value();
    runner->offers_ = std::make_shared<Offers>(*runner->connector_);
    if (runner->down_) runner->down_->attach(*runner->connector_);
    return runner;
}

Result<void, std::string> BridgeRunner::parse_routes(ConnectorSpec& spec) {
    for (const RouteSettings& route : settings_.routes) {
        spec.routes.push_back({.from = route.from, .place = route.place, .settings = route.connector});
        conditions_.emplace_back();
        if (route.when.empty()) continue;
        auto condition = Condition::parse(route.when);
        if (!condition) return Err{fmt::format("{}: key `when`: {}", route.place, condition.error())};
        conditions_.back() = std::make_shared<const Condition>(std::move(condition).value());
    }
    return {};
}

Result<void, std::string> BridgeRunner::parse_downs(ConnectorSpec& spec, const std::string& origin) {
    std::vector<Down::Way> ways;
    for (const DownSettings& down : settings_.downs) {
        auto topic = DownTemplate::parse(down.topic);
        if (!topic) return Err{fmt::format("{}: key `topic`: {}", down.place, topic.error())};
        ways.push_back({down, std::move(topic).value()});
        spec.down_routes.push_back({.from = {}, .place = down.place, .settings = down.connector});
    }
    if (!ways.empty())
        down_ = std::make_shared<Down>(settings_.name, origin, std::move(ways), settings_.down_inflight_max,
                                       inlets_);
    return {};
}

void BridgeRunner::start(const std::vector<std::string>& spools, bool paused) {
    if (settings_.dead.messages_max > 0)
        for (std::size_t i = 0; i < inlets_.size(); ++i)
            dead_.push_back({.number = next_number++, .shard = i});
    add_lanes(spools);
    for (std::size_t i = 0; i < dead_.size(); ++i) add_dead_letters(dead_[i], i);
    if (!dead_.empty()) add_old_dead_letters(spools);
    if (paused) pause(true);
    std::vector<LaneName> names;
    for (const auto& lane : lanes_) names.push_back({lane->number, lane->name});
    connector_->start(*this, std::move(names));
}

void BridgeRunner::add_lanes(const std::vector<std::string>& spools) {
    const std::size_t shards = inlets_.size();
    for (std::uint32_t route = 0; route < settings_.routes.size(); ++route) {
        for (std::size_t i = 0; i < shards; ++i)
            add_lane(route, i, session_name(settings_.name, route_names_[route], i), true);
        // The broker ran with more shards once, or named spools by the place of their routes: what waits in
        // those goes up as well, but nothing new enters them.
        const std::string by_name = session_name(settings_.name, route_names_[route], 0);
        const std::string by_place = session_name(settings_.name, std::to_string(route), 0);
        for (const std::string& spool : spools) {
            const std::string_view stem = std::string_view(spool).substr(0, spool.rfind('/') + 1);
            std::size_t shard = 0;
            std::from_chars(spool.data() + stem.size(), spool.data() + spool.size(), shard);
            const bool ours = stem == std::string_view(by_name).substr(0, by_name.size() - 1);
            const bool old = stem == std::string_view(by_place).substr(0, by_place.size() - 1) &&
                             !has_route(std::to_string(route));
            if ((ours && shard >= shards) || old) add_lane(route, shard % shards, spool, false);
        }
    }
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

void BridgeRunner::add_lane(std::uint32_t route, std::size_t shard, const std::string& spool,
                            bool subscribes) {
    auto record = std::make_unique<LaneRecord>();
    record->name = spool.substr(shard::bridge_session_prefix.size() + settings_.name.size() + 1);
    record->number = next_number++;
    record->route = route;
    record->shard = shard;
    record->is_old = !subscribes;
    const RouteSettings& settings = settings_.routes[route];

    shard::LinkSpec spec;
    spec.number = record->number;
    spec.client_id = spool;
    spec.bounds = bounds_per_lane();
    spec.accepts =
        [own = publisher_name(settings_.name),
         rest = make_accepts(conditions_[route], thinning_per_lane(settings),
                             {record->stats, &record->stats->thinned})](const core::Message& message) {
            // What this bridge brought down does not go up again.
            return message.client_id() != own && (!rest || rest(message));
        };
    spec.last_value = settings.keep == RouteKeep::last_value;
    spec.ack_upstream = settings.ack == RouteAck::upstream;
    spec.after_commit = connector_->wants_durable();
    if (subscribes) {
        core::SubscriptionOptions options;
        options.qos = wire::QoS::at_least_once;
        options.retain_as_published = true;
        options.local_only = true;
        options.at_least_once = true;
        spec.subscriptions.push_back({settings.from, options});
    }
    LaneSpec lane{.number = record->number,
                  .route = route,
                  .inflight_max = inflight_per_lane(settings_),
                  .pace = pace_,
                  .route_name = route_names_[route],
                  .dead = dead_.empty() ? 0 : dead_[shard].number,
                  .label = fmt::format("bridge '{}', route '{}'", settings_.name, route_names_[route])};
    spec.make = [lane, offers = offers_,
                 stats = record->stats](shard::LinkHost& host) -> std::unique_ptr<shard::Link> {
        return std::make_unique<Lane>(lane, host, offers, stats);
    };
    lanes_by_number_.emplace(record->number, record.get());
    lanes_.push_back(std::move(record));
    inlets_.at(shard).post_link(std::move(spec));
}

void BridgeRunner::add_old_dead_letters(const std::vector<std::string>& spools) {
    const std::string stem = dead_name(settings_.name, 0);
    for (const std::string& spool : spools) {
        if (!spool.starts_with(std::string_view(stem).substr(0, stem.size() - 1))) continue;
        std::size_t queue = 0;
        std::from_chars(spool.data() + stem.size() - 1, spool.data() + spool.size(), queue);
        if (queue < inlets_.size()) continue;
        dead_.push_back({.number = next_number++, .shard = queue % inlets_.size()});
        add_dead_letters(dead_.back(), queue);
    }
}

void BridgeRunner::add_dead_letters(const DeadRecord& record, std::size_t queue) {
    DeadLettersSpec dead{
        .number = record.number, .bridge = settings_.name, .routes = {}, .age_max = settings_.spool.age_max};
    for (const auto& lane : lanes_)
        if (lane->shard == record.shard) dead.routes.push_back({route_names_[lane->route], lane->number});
    shard::LinkSpec spec;
    spec.number = dead.number;
    spec.client_id = dead_name(settings_.name, queue);
    spec.bounds.messages_max = std::max<std::size_t>(1, settings_.dead.messages_max / inlets_.size());
    spec.bounds.bytes_max = std::max<std::size_t>(1, settings_.dead.bytes_max / inlets_.size());
    spec.make = [dead, stats = record.stats](shard::LinkHost& host) -> std::unique_ptr<shard::Link> {
        return std::make_unique<DeadLetters>(dead, host, stats);
    };
    inlets_.at(record.shard).post_link(std::move(spec));
}

void BridgeRunner::stop() {
    if (stopped_.exchange(true) || !connector_) return;
    connector_->stop(stop_grace);
    offers_->close();
    if (down_) down_->detach();
    up_ = false;
}

void BridgeRunner::leave(const BridgeRunner* next) {
    for (const auto& lane : lanes_)
        if (!next || lane->is_old || !next->has_route(route_names_[lane->route]))
            inlets_.at(lane->shard).post_remove_link(lane->number);
    for (std::size_t i = 0; i < dead_.size(); ++i)
        if (!next || i >= inlets_.size() || next->settings_.dead.messages_max == 0)
            inlets_.at(dead_[i].shard).post_remove_link(dead_[i].number);
    for (const std::string& route : route_names_) {
        if (next && next->has_route(route)) continue;
        std::string prefix = session_name(settings_.name, route, 0);
        prefix.pop_back();
        for (std::size_t i = 0; i < inlets_.size(); ++i)
            inlets_.at(i).post_link_sessions(
                {.task = shard::LinkSessionErrand::Task::retire, .prefix = prefix, .answer = {}});
    }
}

bool BridgeRunner::has_route(std::string_view name) const {
    return std::find(route_names_.begin(), route_names_.end(), name) != route_names_.end();
}

void BridgeRunner::pause(bool paused) {
    if (!paused) going_since_ms_ = Now::read().mono.time_since_epoch().count();
    paused_ = paused;
    tell_all(shard::LinkPaused{paused});
    if (down_) down_->pause(paused);
    log::info(fmt::format("bridge '{}': {} by an operator", settings_.name, paused ? "paused" : "resumed"));
}

std::size_t BridgeRunner::ask_dead_letters(shard::DeadLetterRequest request) {
    const auto shared = std::make_shared<const shard::DeadLetterRequest>(std::move(request));
    for (const DeadRecord& dead : dead_) inlets_.at(dead.shard).post_note(dead.number, shared);
    return dead_.size();
}

void BridgeRunner::tell_all(const shard::LinkNote& note) {
    for (const auto& lane : lanes_) inlets_.at(lane->shard).post_note(lane->number, note);
}

void BridgeRunner::set_reason(const std::string& reason) {
    const std::lock_guard lock(text_mutex_);
    reason_ = reason;
}

void BridgeRunner::on_up(std::uint64_t epoch) {
    going_since_ms_ = Now::read().mono.time_since_epoch().count();
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
        const std::lock_guard lock(text_mutex_);
        news |= reason_ != reason;
        reason_ = reason;
    }
    if (news) log::warn(fmt::format("bridge '{}': not connected: {}", settings_.name, reason));
    if (was_up) tell_all(shard::UpstreamDown{reason});
}

void BridgeRunner::on_source(const std::string& problem) {
    {
        const std::lock_guard lock(text_mutex_);
        if (std::exchange(down_problem_, problem) == problem) return;
    }
    if (problem.empty()) {
        log::info(fmt::format("bridge '{}': receives from the upstream", settings_.name));
    } else {
        log::warn(fmt::format("bridge '{}': does not receive: {}", settings_.name, problem));
    }
}

void BridgeRunner::on_confirm(std::span<const Confirm> confirms) {
    std::map<shard::LinkNumber, shard::UpstreamConfirmed> by_lane;
    const auto post = [this](shard::LinkNumber number, shard::UpstreamConfirmed& note) {
        inlets_.at(lanes_by_number_.at(number)->shard)
            .post_note(number, std::exchange(note, shard::UpstreamConfirmed{}));
    };
    for (const Confirm& confirm : confirms) {
        const bool delivered = confirm.outcome == Outcome::delivered;
        const auto lane = lanes_by_number_.find(confirm.lane);
        if (lane == lanes_by_number_.end()) continue;
        const RouteSettings& route = settings_.routes[lane->second->route];
        const bool let_go = confirm.outcome == Outcome::unmappable && route.on_missing == OnMissing::drop;
        if (!delivered && !let_go) set_reason("refused: " + confirm.reason);
        shard::UpstreamConfirmed& note = by_lane[confirm.lane];
        note.confirms.push_back({confirm.tag, delivered, confirm.reason, let_go});
        if (note.confirms.size() == confirms_per_note) post(confirm.lane, note);
    }
    for (auto& [number, note] : by_lane)
        if (!note.confirms.empty()) post(number, note);
}

}  // namespace sluice::bridge
