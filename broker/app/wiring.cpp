#include "app/wiring.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "app/gateway_id.hpp"
#include "app/memory_budget.hpp"
#include "app/reload_changes.hpp"
#include "base/log.hpp"

namespace sluice::app {
namespace {

// Handshakes are what these threads are for; one is enough for two cores, more help only where there are
// more.
constexpr std::size_t cores_per_listener_thread = 4;

std::size_t core_count() {
    return std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

Wiring::Wiring(Config config, const ModuleSource& modules)
    : config_(std::move(config)),
      modules_(modules),
      sys_("sluice version " SLUICE_VERSION, Now::read().mono) {}

Wiring::~Wiring() {
    stop();
}

Result<void, std::string> Wiring::start() {
    if (!config_.limits.memory_max) config_.limits.memory_max = default_memory_max();
    if (auto step = load_auth(config_); !step) return step;
    if (auto step = open_store(); !step) return step;
    shards_ = std::make_unique<ShardSet>(
        shard_count(),
        shard::SharedParts{store_.get(), retained_.get(), authorizer_, config_.limits, authenticator_});
    shards_->restore(recovered_);
    bridges_ = std::make_unique<BridgeSet>(modules_, *shards_, gateway_id_,
                                           recovered_.id == 0 ? "" : fmt::format("{:016x}", recovered_.id));
    stats_ = std::make_unique<BrokerStats>(*shards_, *store_, *retained_, *bridges_);
    stats_->set_damage(recovered_.damage);
    stats_->set_memory_max(config_.limits.memory_max.value_or(0));
    if (config_.sys_interval.count() > 0) {
        // Nobody is there to be told, but the first who comes finds them.
        for (const core::MessagePtr& message : sys_messages()) retained_->keep(message);
    }
    if (auto step = bridges_->make(config_.bridges); !step) return step;
    // Sockets are taken before anything runs: a port in use must not cost a start of bridges and threads.
    if (auto step = open_doors(); !step) return step;
    store_->start(*shards_);
    shards_->start();
    start_bridges();
    if (auto step = start_admin(); !step) return step;
    listeners_->start();
    stats_->set_ready(true);
    recovered_ = {};
    return {};
}

std::size_t Wiring::shard_count() const {
    return app::shard_count(config_, core_count());
}

Result<void, std::string> Wiring::load_auth(const Config& config) {
    if (config.auth.password_file.empty()) {
        authenticator_ = auth::make_open_authenticator();
    } else {
        auto loaded = auth::load_password_file(config.auth.password_file, decoy_secret_);
        if (!loaded) return Err{loaded.error()};
        authenticator_ = std::move(loaded).value();
    }
    if (config.auth.acl_file.empty()) {
        authorizer_ = auth::make_allow_all_authorizer();
        return {};
    }
    auto loaded = auth::load_acl_file(config.auth.acl_file);
    if (!loaded) return Err{loaded.error()};
    authorizer_ = std::move(loaded).value();
    return {};
}

Result<void, std::string> Wiring::open_store() {
    store::StoreSettings settings;
    settings.data_dir = config_.data_dir;
    settings.durability = config_.durability;
    settings.disk = config_.store;
    store_ = store::make_store(settings);
    auto opened = store_->open();
    if (!opened) return Err{fmt::format("store: {}", opened.error())};
    recovered_ = std::move(opened).value();
    for (const std::string& line : recovered_.damage) log::error("store: " + line);
    const bool durable = config_.durability.mode != store::DurabilityMode::memory;
    if (durable) {
        // Here, where the folder is there and ours.
        const auto kept = decoy_secret_->keep_in(config_.data_dir + "/auth.secret");
        if (!kept) log::warn("auth: " + kept.error());
    }
    if (durable) clock_file_ = ClockFile(config_.data_dir);
    gateway_id_ = durable ? load_gateway_id(config_.data_dir) : make_gateway_id();
    retained_ =
        std::make_unique<core::RetainedIndex>(retained_max(), static_cast<std::uint32_t>(shard_count()));
    // A limit that was lowered since takes nothing away that was promised to be kept.
    for (const core::MessagePtr& message : recovered_.retained) retained_->keep(message);
    if (recovered_.retained.size() > config_.limits.retained_messages_max) {
        log::warn(
            fmt::format("store: {} retained messages are above limits.retained_messages_max ({}): they "
                        "are kept and served, new topics are refused until there are fewer than that",
                        recovered_.retained.size() - config_.limits.retained_messages_max,
                        config_.limits.retained_messages_max));
    }
    std::uint64_t waiting = 0;
    for (const auto& session : recovered_.sessions) waiting += session.queue_messages;
    log::info(fmt::format("store: {} sessions, {} waiting messages, {} retained", recovered_.sessions.size(),
                          waiting, recovered_.retained.size()));
    return {};
}

std::size_t Wiring::retained_max() const {
    return config_.limits.retained_messages_max +
           (config_.sys_interval.count() > 0 ? SysTopics::topic_count : 0);
}

void Wiring::start_bridges() {
    std::vector<std::string> spools;
    for (const auto& session : recovered_.sessions) {
        if (session.record.client_id.starts_with(shard::bridge_session_prefix))
            spools.push_back(session.record.client_id);
    }
    bridges_->start(spools);
}

listener::Doorkeeping Wiring::doorkeeping() const {
    return {shards_.get(), authenticator_, authorizer_, config_.limits, nullptr};
}

Result<void, std::string> Wiring::open_doors() {
    listeners_ =
        std::make_unique<listener::Listeners>(doorkeeping(), 1 + core_count() / cores_per_listener_thread);
    stats_->set_lobby(listeners_->lobby());
    return listeners_->open(config_.listeners);
}

Result<void, std::string> Wiring::start_admin() {
    if (!config_.admin) return {};
    admin_ = std::make_unique<admin::HttpServer>(*stats_, bridges_.get(), *config_.admin);
    auto started = admin_->start();
    if (!started) return Err{started.error()};
    log::info(fmt::format("admin: http on {}:{}", config_.admin->address, *started));
    return {};
}

void Wiring::stop() {
    if (stats_) stats_->set_ready(false);
    if (admin_) admin_->stop();
    if (listeners_) listeners_->stop();
    if (bridges_) bridges_->stop();
    if (shards_) shards_->stop();
    // What it answers goes to the loops of listeners and shards, which stand still but are still there.
    if (authenticator_) authenticator_->stop();
    for (const auto& retired : retired_authenticators_)
        if (const auto still_asked = retired.lock()) still_asked->stop();
    if (store_) store_->stop();
}

void Wiring::reload(Config config) {
    const auto old_authenticator = authenticator_;
    const auto old_authorizer = authorizer_;
    if (auto loaded = load_auth(config); !loaded) {
        log::error(fmt::format("reload: {}; the old rules stay in force", loaded.error()));
        authenticator_ = old_authenticator;
        authorizer_ = old_authorizer;
    }
    std::erase_if(retired_authenticators_, [](const auto& retired) { return retired.expired(); });
    if (authenticator_ != old_authenticator) retired_authenticators_.push_back(old_authenticator);
    const auto waiting = settings_for_restart(config_, config);
    if (!waiting.empty())
        log::warn(fmt::format("reload: these changes take effect at the next restart: {}",
                              fmt::join(waiting, ", ")));
    config_.limits = config.limits;
    if (!config_.limits.memory_max) config_.limits.memory_max = default_memory_max();
    stats_->set_memory_max(*config_.limits.memory_max);
    config_.auth = config.auth;
    retained_->set_messages_max(retained_max());
    take_listener_settings(config_.listeners, config.listeners);
    for (const std::string& problem : listeners_->reload(doorkeeping(), config_.listeners)) {
        log::error(fmt::format("reload: {}; the old certificate stays in force", problem));
    }
    shards_->reload(authenticator_, authorizer_, config_.limits);
    bridges_->reload(config.bridges);
    config_.bridges = config.bridges;
    log::info("reload: passwords, rights, certificates, limits and bridges were read again");
}

std::vector<core::MessagePtr> Wiring::sys_messages() {
    const Now now = Now::read();
    std::vector<core::MessagePtr> messages;
    for (const SysTopics::Value& value : sys_.update(stats_->sys_numbers(), now.mono)) {
        messages.push_back(core::Message::freeze(
            {.topic = value.topic, .payload = as_bytes(value.text), .retain = true, .received = now.wall}));
    }
    return messages;
}

void Wiring::publish_sys() {
    for (core::MessagePtr& message : sys_messages()) shards_->at(0).post_publish(std::move(message));
}

bool Wiring::probe_liveness() {
    const bool live = shards_->probe_liveness();
    stats_->set_live(live);
    return live;
}

}  // namespace sluice::app
