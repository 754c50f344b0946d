// A client that the listeners have let in comes to its home shard: is there a place for it, whose session is
// it.
#include <fmt/format.h>

#include "base/log.hpp"
#include "base/quote.hpp"
#include "shard/connection.hpp"
#include "shard/shard.hpp"
#include "wire/encode.hpp"

namespace sluice::shard {

using core::SubscriberId;
using wire::ReasonCode;

namespace {

// For a refused client to read why, and short: nobody counts those who linger here.
constexpr Millis refused_linger{200};

}  // namespace

bool Shard::is_of_another_user(const Slot& s, const Admission& admission) {
    if (s.user_name == admission.user_name) return false;
    counters_.sessions_of_others.add();
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    if (limit.allow(now().mono.time_since_epoch().count(), suppressed)) {
        log::warn(
            fmt::format("the session of client '{}' was user '{}'s and is not given to user '{}', who gets "
                        "a new one ({} more such sessions before)",
                        s.client_id, s.user_name, admission.user_name, suppressed));
    }
    return true;
}

SubscriberId Shard::session_for(const Admission& admission, bool& session_present) {
    session_present = false;
    const bool durable = admission.session_expiry_interval_s > 0;
    SubscriberId id = find_client(admission.client_id);
    if (id != UINT32_MAX && slots_[id].link) depart(id, Departure::taken_over);  // [MQTT-3.1.4-3]
    // A session of no duration ended with its connection; a clean start ends any other [MQTT-3.1.2-4]; and
    // what waits for one user is not for another who knows the client id.
    if (id != UINT32_MAX && (admission.clean_start || slots_[id].expiry_interval_s == 0 ||
                             is_of_another_user(slots_[id], admission))) {
        discard_session(id);
        id = UINT32_MAX;
    }
    if (id == UINT32_MAX)
        return make_slot(admission.client_id, durable ? next_session_key() : 0, client_bounds_);
    session_present = true;  // [MQTT-3.2.2-3]
    // A will that waits for its delay is void now [MQTT-3.1.3-9]; one whose delay was over before is due.
    if (slots_[id].will && time_left(slots_[id], slots_[id].will->delay_s) == Millis(0)) publish_will(id);
    slots_[id].will.reset();
    return id;
}

void Shard::admit(Admission admission) {
    if (!hold_takeover(admission)) enter(std::move(admission));
}

bool Shard::take_place(const Admission& admission) {
    const SubscriberId id = find_client(admission.client_id);
    if (id != UINT32_MAX && slots_[id].link) return true;
    std::uint32_t taken = parts_.connections->load(std::memory_order_relaxed);
    do {
        if (taken >= parts_.limits.connections_max) return false;
    } while (!parts_.connections->compare_exchange_weak(taken, taken + 1, std::memory_order_relaxed));
    return true;
}

std::optional<ReasonCode> Shard::lacks_memory_for(const Admission& admission) {
    const SubscriberId id = find_client(admission.client_id);
    const bool is_new = id == UINT32_MAX;
    // Who takes over a connection has its memory.
    if ((is_new || !slots_[id].link) && memory_level() == MemoryWatch::Level::full)
        return ReasonCode::server_busy;
    std::size_t bytes = is_new ? session_bytes + admission.client_id.size() + admission.user_name.size() : 0;
    if (admission.will) bytes += admission.will->message->footprint_bytes();
    // What an earlier session has kept is not ours to begin with.
    if (bytes == 0 || may_keep(bytes)) return std::nullopt;
    return admission.will ? ReasonCode::quota_exceeded : ReasonCode::server_busy;
}

void Shard::turn_away_without_memory(Admission admission, ReasonCode code) {
    counters_.connections_without_memory.add();
    wire::Connack connack;
    connack.code = code;
    connack.properties.reason_string = code == ReasonCode::quota_exceeded
                                           ? "the server has no memory for the will"
                                           : "the server has no memory for another client";
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    if (limit.allow(now().mono.time_since_epoch().count(), suppressed)) {
        log::warn(fmt::format("client {} at {} is refused: {} (limits.memory_max; {}; {} more before)",
                              log::quote(admission.client_id), admission.channel.identity.address,
                              *connack.properties.reason_string, wire::name_of(code), suppressed));
    }
    turn_away(std::move(admission), connack);
}

void Shard::turn_away_full(Admission admission) {
    counters_.connections_refused.add();
    wire::Connack connack;
    const std::string& elsewhere = parts_.limits.server_reference;
    connack.code = elsewhere.empty() ? ReasonCode::server_busy : ReasonCode::use_another_server;
    static log::RateLimit limit(1'000);
    std::uint64_t suppressed = 0;
    if (limit.allow(now().mono.time_since_epoch().count(), suppressed)) {
        log::warn(
            fmt::format("client {} at {} is refused: limits.connections_max is reached ({}; {} more "
                        "before)",
                        log::quote(admission.client_id), admission.channel.identity.address,
                        wire::name_of(connack.code), suppressed));
    }
    connack.properties.reason_string = "the server has as many clients as it may have";
    if (!elsewhere.empty()) connack.properties.server_reference = elsewhere;
    turn_away(std::move(admission), connack);
}

void Shard::turn_away(Admission admission, const wire::Connack& connack) {
    ByteBuffer out;
    wire::encode_connack(out, admission.version, connack);
    if (out.size() > admission.maximum_packet_size) {  // [MQTT-3.2.2-19]
        out.clear();
        wire::encode_connack(out, admission.version, {.code = connack.code, .properties = {}});
    }
    net::Channel channel(context_, std::move(admission.channel));
    if (out.size() <= admission.maximum_packet_size) channel.send(out);  // [MQTT-3.1.2-24]
    channel.close_after_flush(refused_linger);
}

void Shard::enter(Admission admission) {
    if (const auto code = lacks_memory_for(admission))
        return turn_away_without_memory(std::move(admission), *code);
    if (!take_place(admission)) return turn_away_full(std::move(admission));
    const std::size_t before = batch_.size();
    bool session_present = false;
    const SubscriberId id = session_for(admission, session_present);
    Slot& s = slots_[id];
    ++s.generation;
    s.gated = 0;
    s.user_name = admission.user_name;
    s.expiry_interval_s = admission.session_expiry_interval_s;
    if (admission.will) s.will = std::make_unique<AdmittedWill>(*std::move(admission.will));
    s.disconnected_at.reset();
    count_kept(s);
    if (s.session->durable()) save_session(id);
    auto connection = std::make_unique<Connection>(*this, id, std::move(admission));
    Connection* link = connection.get();
    s.link = std::move(connection);
    counters_.connections.add();
    counters_.connections_seen.add();
    // "You have a session", or "you have none any more", is a promise too: CONNACK waits until the disk knows
    // of it. It does not wait for what others have written.
    if (batch_.size() == before && !s.progress_dirty) return link->open(session_present);
    deferred_.push_back({next_turn(), [this, id, generation = s.generation, link, session_present] {
                             if (slots_[id].generation != generation) return;
                             link->open(session_present);
                         }});
}

}  // namespace sluice::shard
