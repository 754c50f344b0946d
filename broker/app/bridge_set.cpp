#include "app/bridge_set.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "app/reload_changes.hpp"
#include "base/log.hpp"

namespace sluice::app {

using bridge::BridgeRunner;
using bridge::BridgeSettings;

Result<BridgeSet::Runner, std::string> BridgeSet::make_runner(const BridgeSettings& settings) const {
    std::string error;
    const bridge::ConnectorModule* module = modules_.find_module(settings.type, error);
    if (!module) return Err{fmt::format("{}: bridge '{}': {}", settings.place, settings.name, error)};
    auto made = BridgeRunner::create(settings, *module, inlets_, origin_, store_id_);
    if (!made) return Err{made.error()};
    return Runner(std::move(made).value());
}

Result<void, std::string> BridgeSet::make(const std::vector<BridgeSettings>& settings) {
    for (const BridgeSettings& one : settings) {
        auto made = make_runner(one);
        if (!made) return Err{made.error()};
        const std::lock_guard lock(mutex_);
        bridges_.push_back(std::move(made).value());
    }
    return {};
}

void BridgeSet::start(const std::vector<std::string>& spools) {
    for (const Runner& runner : all()) runner->start(spools);
    // What is left has no lane by now, as letters to a shard are opened in their order.
    for (std::size_t i = 0; i < inlets_.size(); ++i) {
        inlets_.at(i).post_link_sessions(
            {.task = shard::LinkSessionErrand::Task::retire,
             .prefix = std::string(shard::bridge_session_prefix),
             .answer = [](std::vector<shard::LinkSessionErrand::Found> found) {
                 for (const auto& one : found)
                     if (one.messages > 0)
                         log::warn(
                             fmt::format("{}: no bridge has this spool any more; its {} messages are "
                                         "kept until `sluicectl bridge forget`",
                                         one.client_id, one.messages));
             }});
    }
}

bool BridgeSet::same(const BridgeSettings& a, const BridgeSettings& b) const {
    return changed_bridge_settings(a, b, modules_).empty();
}

void BridgeSet::reload(const std::vector<BridgeSettings>& settings) {
    std::vector<std::pair<Runner, Runner>> changes;  // what goes, what comes
    std::vector<Runner> next;
    for (const BridgeSettings& one : settings) {
        const Runner old = find(one.name);
        if (old && same(old->settings(), one)) {
            next.push_back(old);
            continue;
        }
        auto made = make_runner(one);
        if (made) {
            changes.emplace_back(old, *made);
            next.push_back(std::move(made).value());
        } else {
            log::error(fmt::format("reload: {}; {}", made.error(),
                                   old ? "the old settings of this bridge stay in force" : "it is left out"));
            if (old) next.push_back(old);
        }
    }
    for (const Runner& old : all()) {
        const bool stays = std::any_of(settings.begin(), settings.end(),
                                       [&](const auto& one) { return one.name == old->name(); });
        if (!stays) changes.emplace_back(old, nullptr);
    }
    // Side by side: an upstream that does not answer holds a stop up for seconds.
    std::vector<std::thread> exchanges;
    for (const auto& [old, fresh] : changes)
        exchanges.emplace_back([this, goes = old, comes = fresh] { exchange(goes, comes); });
    for (std::thread& thread : exchanges) thread.join();
    const std::lock_guard lock(mutex_);
    bridges_ = std::move(next);  // the same ones, as the settings have them in order
}

void BridgeSet::exchange(const Runner& old, const Runner& fresh) {
    const std::string& name = (fresh ? fresh : old)->name();
    std::vector<std::string> spools;
    if (old) {
        old->stop();
        old->leave(fresh.get());
        log::info(fmt::format("reload: bridge '{}' {}", name, fresh ? "is exchanged" : "is taken away"));
    } else {
        log::info(fmt::format("reload: bridge '{}' is new", name));
    }
    if (!fresh) return replace(old, fresh);
    auto found = ask_sessions(shard::LinkSessionErrand::Task::list,
                              fmt::format("{}{}/", shard::bridge_session_prefix, name));
    if (found) {
        for (auto& one : *found) spools.push_back(std::move(one.client_id));
    } else {
        log::error(
            fmt::format("reload: bridge '{}': {}; what waits in older spools stays there until the "
                        "next start",
                        name, found.error().text));
    }
    const bool paused = old && old->is_paused();
    fresh->start(spools, paused);
    replace(old, fresh);
    // An operator may have met the old one until now.
    if (old && old->is_paused() != paused) fresh->pause(!paused);
}

void BridgeSet::replace(const Runner& old, const Runner& fresh) {
    const std::lock_guard lock(mutex_);
    const auto at = std::find(bridges_.begin(), bridges_.end(), old);
    if (at == bridges_.end()) {
        bridges_.push_back(fresh);
    } else if (fresh) {
        *at = fresh;
    } else {
        bridges_.erase(at);
    }
}

void BridgeSet::stop() {
    std::vector<std::thread> stops;
    for (const Runner& runner : all()) stops.emplace_back([runner] { runner->stop(); });
    for (std::thread& thread : stops) thread.join();
}

std::vector<BridgeSet::Runner> BridgeSet::all() const {
    const std::lock_guard lock(mutex_);
    return bridges_;
}

BridgeSet::Runner BridgeSet::find(const std::string& bridge) const {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(bridges_.begin(), bridges_.end(),
                                    [&](const Runner& runner) { return runner->name() == bridge; });
    return found == bridges_.end() ? nullptr : *found;
}

std::vector<shard::BridgeStatus> BridgeSet::status() const {
    std::vector<shard::BridgeStatus> list;
    for (const Runner& runner : all()) list.push_back(runner->status());
    return list;
}

void BridgeSet::sample() {
    for (const Runner& runner : all()) runner->sample();
}

}  // namespace sluice::app
