#include "tests/sim/house.hpp"

#include <fmt/format.h>

#include <charconv>
#include <latch>

#include "base/hash.hpp"
#include "store/sqlite_backend.hpp"

namespace sluice::sim {
namespace {

constexpr std::string_view dead_part = "//dead/";

shard::LinkNumber dead_number(std::size_t queue) {
    return static_cast<shard::LinkNumber>(1000 + queue);
}

const char* const lane_filter = "s/#";

}  // namespace

House::House(const HousePlan& plan, Upstream& upstream) : plan_(plan), upstream_(upstream) {
    store::StoreSettings settings;
    settings.data_dir = plan.data_dir;
    settings.durability.window = plan.window;
    settings.group_messages_max = plan.group_messages_max;
    settings.reserve_bytes = 0;  // the real file system's
    settings.disk.free_min = 0;  // likewise
    store_ = std::make_unique<store::QueuedStore>(settings, std::make_unique<store::SqliteBackend>(settings));
    front_ = std::make_unique<Mutant>(*store_, static_cast<store::StoreEvents&>(*this), plan.mutation);
}

House::~House() = default;

Result<void, std::string> House::start() {
    auto recovered = store_->open();
    if (!recovered) return Err{recovered.error()};
    damage_ = recovered->damage;
    const auto shards = static_cast<std::uint32_t>(plan_.shards);
    retained_ = std::make_unique<core::RetainedIndex>(1000, shards);
    for (const core::MessagePtr& message : recovered->retained) retained_->keep(message);
    shard::SharedParts parts{front_.get(), retained_.get(), auth::make_allow_all_authorizer(), plan_.limits,
                             nullptr};
    parts.window_messages = plan_.window_messages;
    for (std::uint32_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<shard::Shard>(i, parts));
    std::vector<shard::Peer> peers;
    for (const auto& shard : shards_) peers.push_back(shard->as_peer());
    for (const auto& shard : shards_) shard->set_peers(peers);
    restore(*recovered);
    if (plan_.has_bridge) add_lanes(*recovered);
    store_->start_without_thread(*this);
    return {};
}

void House::restore(const store::Recovered& recovered) {
    for (const auto& shard : shards_) shard->set_used(recovered.session_key_max, recovered.row_max);
    for (const auto& session : recovered.sessions)
        shards_[home_index(session.record.client_id)]->restore(session);
    for (const auto& shard : shards_) shard->tell_restored();
}

/// One per shard, and those that there were when there were more shards.
void House::add_lanes(const store::Recovered& recovered) {
    for (std::size_t spool = 0; spool < shards_.size(); ++spool) add_lane(spool, true);
    for (const auto& session : recovered.sessions) {
        const std::string& name = session.record.client_id;
        if (!name.starts_with(shard::bridge_session_prefix)) continue;
        if (name.find(dead_part) != std::string::npos) continue;
        const std::size_t spool = std::stoul(name.substr(name.rfind('/') + 1));
        if (spool >= shards_.size()) add_lane(spool, false);
    }
    std::size_t queues = shards_.size();
    for (const auto& session : recovered.sessions) {
        const std::string& name = session.record.client_id;
        if (name.find(dead_part) == std::string::npos) continue;
        queues = std::max<std::size_t>(queues, std::stoul(name.substr(name.rfind('/') + 1)) + 1);
    }
    for (std::size_t queue = 0; queue < queues; ++queue) add_dead_letters(queue);
}

void House::add_lane(std::size_t spool, bool subscribes) {
    auto record = std::make_unique<LaneRecord>();
    record->shard = spool % shards_.size();
    shard::LinkSpec spec;
    spec.number = static_cast<shard::LinkNumber>(lanes_.size() + 1);
    spec.client_id = fmt::format("$bridge/sim/0/{}", spool);
    spec.bounds.window_messages = plan_.window_messages;
    if (subscribes)
        spec.subscriptions.push_back({lane_filter,
                                      {.qos = wire::QoS::at_least_once,
                                       .retain_as_published = true,
                                       .local_only = true,
                                       .at_least_once = true}});
    upstream_.lane_added(spec.number, spec.client_id);
    bridge::LaneSpec lane{.number = spec.number,
                          .inflight_max = 4,
                          .route_name = "route",
                          .dead = dead_number(record->shard),
                          .label = spec.client_id};
    spec.make = [this, lane, stats = record->stats](shard::LinkHost& host) {
        // The world outlives all lanes.
        const std::shared_ptr<bridge::Upstream> upstream(std::shared_ptr<void>(), &upstream_);
        return std::make_unique<bridge::Lane>(lane, host, upstream, stats);
    };
    shards_[record->shard]->post_link(std::move(spec));
    lanes_.push_back(std::move(record));
}

void House::add_dead_letters(std::size_t queue) {
    const std::size_t shard = queue % shards_.size();
    shard::LinkSpec spec;
    spec.number = dead_number(queue);
    spec.client_id = fmt::format("$bridge/sim{}{}", dead_part, queue);
    bridge::DeadLettersSpec dead{.number = spec.number, .bridge = "sim", .routes = {}};
    for (std::size_t i = 0; i < lanes_.size(); ++i)
        if (lanes_[i]->shard == shard)
            dead.routes.push_back({"route", static_cast<shard::LinkNumber>(i + 1)});
    dead_.push_back(std::make_shared<bridge::DeadLetterStats>());
    spec.make = [dead, stats = dead_.back()](shard::LinkHost& host) {
        return std::make_unique<bridge::DeadLetters>(dead, host, stats);
    };
    shards_[shard]->post_link(std::move(spec));
}

void House::retry_dead_letters() {
    auto request = std::make_shared<shard::DeadLetterRequest>();
    request->task = shard::DeadLetterRequest::Task::retry;
    for (std::size_t queue = 0; queue < dead_.size(); ++queue)
        shards_[queue % shards_.size()]->post_note(dead_number(queue), request);
}

std::uint64_t House::dead_letters() const {
    std::uint64_t sum = 0;
    for (const auto& dead : dead_) sum += dead->waiting;
    return sum;
}

std::size_t House::home_index(std::string_view client_id) const {
    if (client_id.starts_with(shard::bridge_session_prefix))
        return std::stoul(std::string(client_id.substr(client_id.rfind('/') + 1))) % shards_.size();
    return stable_hash(client_id) % shards_.size();
}

shard::Shard& House::home_of(std::string_view client_id) {
    return *shards_[home_index(client_id)];
}

void House::tell_lane(shard::LinkNumber number, shard::LinkNote note) {
    shards_[lanes_[number - 1]->shard]->post_note(number, std::move(note));
}

void House::run_everything() {
    for (bool busy = true; busy;) {
        busy = store_->run_ready();
        for (const auto& shard : shards_) busy |= shard->run_ready();
    }
}

void House::stop() {
    const auto closed = std::make_shared<std::latch>(static_cast<std::ptrdiff_t>(shards_.size()));
    for (const auto& shard : shards_) shard->post_close(closed);
    run_everything();
    for (const auto& shard : shards_) shard->post_stop();
    for (const auto& shard : shards_) shard->run_ready();
}

std::uint64_t House::messages_dropped() const {
    std::uint64_t dropped = 0;
    for (const auto& shard : shards_)
        dropped += shard->counters().drops[static_cast<std::size_t>(core::DropReason::queue_full)].get();
    return dropped;
}

std::uint64_t House::bridge_backlog() const {
    std::uint64_t backlog = 0;
    for (const auto& lane : lanes_) backlog += lane->stats->backlog_messages.load();
    return backlog;
}

void House::on_committed(store::ShardIndex shard, store::TurnNumber turn) {
    shards_[shard]->post_committed(turn);
}

void House::on_queue_loaded(store::ShardIndex shard, core::SessionKey session,
                            std::vector<core::QueueEntry> entries, bool exhausted) {
    shards_[shard]->post_queue_loaded(session, std::move(entries), exhausted);
}

void House::on_oldest_found(store::ShardIndex shard, core::SessionKey session,
                            std::vector<core::StoredRow> rows, bool exhausted) {
    shards_[shard]->post_oldest_found(session, std::move(rows), exhausted);
}

}  // namespace sluice::sim
