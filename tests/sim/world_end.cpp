// The end of a run: everybody is there, all is delivered, and nothing is left over.
#include <fmt/format.h>

#include <algorithm>

#include "store/sqlite_backend.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/message_id.hpp"
#include "tests/sim/time.hpp"
#include "tests/sim/world.hpp"

namespace sluice::sim {
namespace {

// Beyond the store's pause after a refusal, delays of take-overs and of wills.
constexpr std::int64_t patience_ms = 60'000;

}  // namespace

bool World::settle_round() {
    bool any = false;
    for (const ClientPtr& client : clients_) {
        if (!client->linked()) {
            client->connect(house_->home_of(client->plan().name), false);
            any = true;
        }
        any |= client->read_some(65536);
        any |= client->acknowledge_some(SIZE_MAX);
        any |= client->write_some(SIZE_MAX);
    }
    for (std::size_t i = 0; i < upstream_.lanes(); ++i) {
        const shard::LinkNumber lane = upstream_.lane_at(i);
        if (upstream_.is_up(lane) && !upstream_.has_unconfirmed(lane)) continue;
        any = true;
        house_->tell_lane(lane, upstream_.is_up(lane) ? upstream_.confirm_some(lane, random_, false)
                                                      : upstream_.go_up(lane));
    }
    if (house_->dead_letters() > 0) house_->retry_dead_letters();
    for (std::size_t i = 0; i < house_->shards(); ++i) any |= house_->turn(i);
    any |= house_->store_round();
    return any;
}

bool World::all_settled() const {
    return house_->bridge_backlog() == 0 && house_->dead_letters() == 0 && !house_->store_in_trouble() &&
           std::all_of(clients_.begin(), clients_.end(), [](const ClientPtr& client) {
               return client->connected() && client->all_acknowledged();
           });
}

std::string World::what_is_open() const {
    std::string text = "the end is not reached:";
    for (const ClientPtr& client : clients_) {
        if (!client->connected()) text += fmt::format(" {} is not connected;", client->plan().name);
        if (!client->all_acknowledged()) text += fmt::format(" {} waits for an answer;", client->plan().name);
    }
    return text + fmt::format(" {} messages wait for the bridge", house_->bridge_backlog());
}

/// Until nothing moves, and does not after some time either.
void World::settle() {
    trace_.note("settle");
    Disk::get().revive();
    Disk::get().set_fault(Fault::none);
    const std::int64_t began = time_ms();
    std::uint64_t before = 0;
    for (int quiet = 0; quiet < 4 && !trace_.broken();) {
        if (settle_round()) continue;
        // What clients see and do is a sign of life; the tick of a lane is none.
        const bool settled = all_settled();
        quiet = settled && before == trace_.hash() ? quiet + 1 : 0;
        before = trace_.hash();
        pass_time_ms(settled ? 25 : 500);
        if (time_ms() - began > patience_ms) return trace_.violation(what_is_open());
    }
    for (const ClientPtr& client : clients_) client->look_at_will();
}

void World::check_retained() {
    ClientPlan plan;
    plan.name = "auditor";
    plan.subscribed_qos = wire::QoS::at_most_once;
    clients_.push_back(std::make_unique<Client>(plan, oracle_, trace_, random_));
    Client& auditor = *clients_.back();
    settle();
    if (trace_.broken()) return;
    auditor.subscribe("r/#");
    settle();
    if (trace_.broken()) return;
    for (const std::string& topic : oracle_.retained_topics())
        oracle_.check_retained(topic, auditor.retained(topic));
}

/// After an orderly end the file has the sessions, and nothing that was delivered.
void World::check_disk() {
    for (const ClientPtr& client : clients_) client->leave();
    house_->stop();
    house_.reset();
    show_store_file();
    store::StoreSettings settings;
    settings.data_dir = plan_.house.data_dir;
    settings.reserve_bytes = 0;
    store::SqliteBackend backend(settings);
    store::SettleLedger ledger;
    const auto recovered = backend.open(ledger);
    if (!recovered) return trace_.violation("the store cannot be opened: " + recovered.error());
    if (!recovered->damage.empty()) return trace_.violation("damaged: " + recovered->damage.front());
    for (const auto& session : recovered->sessions) {
        for (const core::RowId row : ledger.open_rows(session.record.key, 0, SIZE_MAX)) {
            core::QueueEntry entry;
            if (backend.read(row, session.record.key, entry).state != store::IoState::done) continue;
            trace_.note("left", row, id_of_message(*entry.message), static_cast<int>(entry.qos),
                        entry.retain);
        }
        check_session(session);
    }
    for (ClientIndex i = 0; i < clients_.size(); ++i) {
        if (!clients_[i]->persistent()) continue;
        const auto found = std::find_if(
            recovered->sessions.begin(), recovered->sessions.end(),
            [&](const auto& session) { return session.record.client_id == clients_[i]->plan().name; });
        if (found == recovered->sessions.end())
            return trace_.violation(clients_[i]->plan().name + " has no session on disk");
        std::set<std::string> filters;
        for (const auto& sub : found->subscriptions) filters.insert(sub.filter);
        if (filters != oracle_.filters_of(i))
            trace_.violation(clients_[i]->plan().name + " has other subscriptions on disk");
    }
    std::map<std::string, MessageId> on_disk;
    for (const core::MessagePtr& message : recovered->retained)
        on_disk[std::string(message->topic())] = id_of_message(*message);
    for (const std::string& topic : oracle_.retained_topics()) {
        const MessageId shown = clients_.back()->retained(topic);
        if (on_disk[topic] != shown)
            trace_.violation(
                fmt::format("topic {}: on disk is message {}, clients get {}", topic, on_disk[topic], shown));
    }
}

void World::check_session(const store::RecoveredSession& session) {
    const std::string& name = session.record.client_id;
    const bool bridge = name.starts_with(shard::bridge_session_prefix);
    const auto client = std::find_if(clients_.begin(), clients_.end(), [&](const ClientPtr& one) {
        return one->persistent() && one->plan().name == name;
    });
    if (!bridge && client == clients_.end())
        return trace_.violation(fmt::format("a session \"{}\" is left on disk", name));
    if (session.queue_messages > 0)
        trace_.violation(fmt::format("{} messages are left on disk for {}", session.queue_messages, name));
    if (!session.progress.outbound.empty() || !session.progress.inbound_released.empty())
        trace_.violation("packet ids are left on disk for " + name);
    if (!session.arrivals.empty()) trace_.violation("notes of arrivals are left on disk for " + name);
}

}  // namespace sluice::sim
