#include "app/broker_stats.hpp"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>

#include "app/bridge_alarms.hpp"
#include "base/memory_gauge.hpp"

namespace sluice::app {

using shard::Counter;
using shard::Counters;
using shard::MetricKind;
using shard::MetricSample;

namespace {

/// One metric that every shard counts.
struct ShardMetric {
    const char* name;
    const char* help;
    MetricKind kind;
    Counter Counters::*member;
};

constexpr ShardMetric shard_metrics[] = {
    {"sluice_connections", "Clients connected now.", MetricKind::gauge, &Counters::connections},
    {"sluice_connections_total", "Clients let in since the start.", MetricKind::counter,
     &Counters::connections_seen},
    {"sluice_takeovers_delayed_total", "Clients that had to wait to take over a client id fought over.",
     MetricKind::counter, &Counters::takeovers_delayed},
    {"sluice_sessions", "Sessions, those without a connection included.", MetricKind::gauge,
     &Counters::sessions},
    {"sluice_sessions_expired_total", "Sessions that ended because their client did not come back.",
     MetricKind::counter, &Counters::sessions_expired},
    {"sluice_sessions_of_others_total",
     "Sessions that ended because their client id came back with another user name.", MetricKind::counter,
     &Counters::sessions_of_others},
    {"sluice_subscriptions", "Subscriptions.", MetricKind::gauge, &Counters::subscriptions},
    {"sluice_received_bytes_total", "MQTT bytes received.", MetricKind::counter, &Counters::bytes_received},
    {"sluice_sent_bytes_total", "MQTT bytes sent.", MetricKind::counter, &Counters::bytes_sent},
    {"sluice_not_authorized_total", "Publishes and subscriptions refused by the ACL.", MetricKind::counter,
     &Counters::not_authorized},
    {"sluice_received_packets_total", "MQTT packets received, of any type.", MetricKind::counter,
     &Counters::packets_received},
    {"sluice_sent_packets_total", "MQTT packets sent, of any type.", MetricKind::counter,
     &Counters::packets_sent},
    {"sluice_publishers_paced_total", "Pauses of clients that published faster than limits.publish_rate_max.",
     MetricKind::counter, &Counters::publishers_paced},
    {"sluice_reauthentications_refused_total",
     "Clients disconnected because they failed to authenticate again.", MetricKind::counter,
     &Counters::reauth_refused},
    {"sluice_publishers_slowed_total", "Pauses of clients that published when limits.memory_max was reached.",
     MetricKind::counter, &Counters::publishers_slowed},
    {"sluice_ended_for_memory_total",
     "Clients disconnected because they held memory and did not move when limits.memory_max was reached.",
     MetricKind::counter, &Counters::ended_for_memory},
    {"sluice_protocol_errors_total", "Clients disconnected for breaking the protocol.", MetricKind::counter,
     &Counters::protocol_errors},
    {"sluice_rejected_total", "Publishes refused because a queue was full.", MetricKind::counter,
     &Counters::rejected},
    {"sluice_retained_expired_total", "Retained messages removed because they had expired.",
     MetricKind::counter, &Counters::retained_expired},
    {"sluice_mail_dropped_total", "QoS 0 messages dropped because a shard was too far behind.",
     MetricKind::counter, &Counters::mail_drops},
    {"sluice_shared_handovers_total",
     "Messages of shared subscriptions that an ended session left to other members.", MetricKind::counter,
     &Counters::handovers},
    {"sluice_turns_total", "Turns of the event loops.", MetricKind::counter, &Counters::turns},
};

constexpr const char* drop_names[core::drop_reason_count] = {
    "offline_qos0", "congested_qos0", "queue_full", "expired", "too_large", "refused_by_receiver", "memory"};

constexpr const char* write_cause_names[store::write_cause_count] = {"commit", "checkpoint", "shrink"};

constexpr const char* refusal_names[shard::refusal_count] = {
    "not_authorized", "sys_topic",      "topic_bytes", "topic_levels",
    "subscriptions",  "payload_format", "memory"};

class Samples {
  public:
    void add(std::string_view name, std::string_view help, MetricKind kind, double value,
             std::string labels = {}) {
        samples_.push_back({name, help, kind, std::move(labels), value});
    }
    std::vector<MetricSample> take() { return std::move(samples_); }

  private:
    std::vector<MetricSample> samples_;
};

void add_shards(Samples& out, const ShardSet& shards) {
    const auto sum = [&](auto&& of) {
        std::uint64_t total = 0;
        for (std::size_t i = 0; i < shards.size(); ++i) total += of(shards.counters(i));
        return static_cast<double>(total);
    };
    for (const ShardMetric& m : shard_metrics) {
        out.add(m.name, m.help, m.kind, sum([&](const Counters& c) { return (c.*m.member).get(); }));
    }
    for (std::size_t qos = 0; qos < 3; ++qos) {
        out.add("sluice_publishes_received_total", "PUBLISH packets received.", MetricKind::counter,
                sum([&](const Counters& c) { return c.publishes_received[qos].get(); }),
                fmt::format("qos=\"{}\"", qos));
    }
    for (std::size_t qos = 0; qos < 3; ++qos) {
        out.add("sluice_publishes_sent_total", "Messages handed to clients and bridges.", MetricKind::counter,
                sum([&](const Counters& c) { return c.publishes_sent[qos].get(); }),
                fmt::format("qos=\"{}\"", qos));
    }
    for (std::size_t i = 0; i < core::drop_reason_count; ++i) {
        out.add("sluice_dropped_total", "Messages dropped, by reason.", MetricKind::counter,
                sum([&](const Counters& c) { return c.drops[i].get(); }),
                fmt::format("reason=\"{}\"", drop_names[i]));
    }
    for (std::size_t i = 0; i < shard::refusal_count; ++i) {
        out.add("sluice_refused_total", "Publishes and subscriptions refused, by reason.",
                MetricKind::counter, sum([&](const Counters& c) { return c.refusals[i].get(); }),
                fmt::format("reason=\"{}\"", refusal_names[i]));
    }
    double longest = 0;
    for (std::size_t i = 0; i < shards.size(); ++i) {
        longest = std::max(longest, static_cast<double>(shards.counters(i).turn_ms_max.get()));
    }
    out.add("sluice_turn_max_seconds", "The longest turn of an event loop since the start.",
            MetricKind::gauge, longest / 1000);
}

void add_store(Samples& out, const store::StoreStats& s) {
    const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t value) {
        out.add(name, help, MetricKind::counter, static_cast<double>(value));
    };
    counter("sluice_store_commits_total", "Group commits.", s.commits);
    counter("sluice_store_entries_total", "Ledger entries made durable.", s.entries);
    counter("sluice_store_cancelled_rows_total", "Messages delivered before they had to be written.",
            s.cancelled_rows);
    for (std::size_t i = 0; i < store::write_cause_count; ++i)
        out.add("sluice_store_written_bytes_total", "Bytes written to the store's files, by what for.",
                MetricKind::counter, static_cast<double>(s.written[i].bytes),
                fmt::format("cause=\"{}\"", write_cause_names[i]));
    for (std::size_t i = 0; i < store::write_cause_count; ++i)
        out.add("sluice_store_fsyncs_total", "fsync calls of the store, by what for.", MetricKind::counter,
                static_cast<double>(s.written[i].fsyncs), fmt::format("cause=\"{}\"", write_cause_names[i]));
    out.add("sluice_store_rows", "Messages kept in the store.", MetricKind::gauge,
            static_cast<double>(s.rows));
    out.add("sluice_store_file_bytes", "Size of the store's files.", MetricKind::gauge,
            static_cast<double>(s.file_bytes));
    out.add("sluice_store_file_max_bytes", "store.bytes_max.", MetricKind::gauge,
            static_cast<double>(s.file_bytes_max));
    out.add("sluice_store_disk_free_bytes", "Free on the disk of the store, as of the last commit.",
            MetricKind::gauge, static_cast<double>(s.disk_free));
    out.add("sluice_store_disk_free_min_bytes", "store.free_min.", MetricKind::gauge,
            static_cast<double>(s.disk_free_min));
    out.add("sluice_store_commit_max_seconds", "The longest commit since the start.", MetricKind::gauge,
            static_cast<double>(s.commit_us_max) / 1e6);
    out.add("sluice_store_in_trouble",
            "1 while the store cannot write, or a limit is so near that publishers wait.", MetricKind::gauge,
            s.in_trouble ? 1 : 0);
}

void add_lobby(Samples& out, const listener::Lobby& lobby, const ShardSet& shards) {
    out.add("sluice_accepted_total", "Connections accepted by the listeners.", MetricKind::counter,
            static_cast<double>(lobby.stats.accepted()));
    out.add("sluice_newcomers", "Connections that have not been let in yet.", MetricKind::gauge,
            static_cast<double>(lobby.newcomers.size()));
    out.add("sluice_logins_held_back_total",
            "Answers to logins that were held back after many wrong passwords from their address.",
            MetricKind::counter, static_cast<double>(lobby.stats.held_back()));
    for (std::size_t i = 0; i < listener::turned_away_count; ++i) {
        const auto why = static_cast<listener::TurnedAway>(i);
        out.add("sluice_turned_away_total", "Connections that were not let in, by reason.",
                MetricKind::counter, static_cast<double>(lobby.stats.turned_away(why)),
                fmt::format("reason=\"{}\"", listener::name_of(why)));
    }
    std::uint64_t full = 0, no_memory = 0;  // limits.connections_max, memory_max, which the shards count
    for (std::size_t i = 0; i < shards.size(); ++i) {
        full += shards.counters(i).connections_refused.get();
        no_memory += shards.counters(i).connections_without_memory.get();
    }
    out.add("sluice_turned_away_total", "Connections that were not let in, by reason.", MetricKind::counter,
            static_cast<double>(full), "reason=\"connections_full\"");
    out.add("sluice_turned_away_total", "Connections that were not let in, by reason.", MetricKind::counter,
            static_cast<double>(no_memory), "reason=\"memory\"");
}

}  // namespace

std::vector<MetricSample> BrokerStats::metrics() const {
    Samples out;
    add_shards(out, shards_);
    if (lobby_) add_lobby(out, *lobby_, shards_);
    out.add("sluice_retained_messages", "Retained messages.", MetricKind::gauge,
            static_cast<double>(retained_.size()));
    out.add("sluice_memory_bytes", "Bytes held in memory, which limits.memory_max bounds.", MetricKind::gauge,
            static_cast<double>(memory_gauge::total()));
    out.add("sluice_memory_kept_bytes", "Of these, for sessions, subscriptions, wills and topic aliases.",
            MetricKind::gauge, static_cast<double>(memory_gauge::kept()));
    out.add("sluice_memory_retained_bytes", "Of these, for retained messages.", MetricKind::gauge,
            static_cast<double>(memory_gauge::retained()));
    out.add("sluice_memory_max_bytes", "limits.memory_max, or what takes its place; 0: no limit.",
            MetricKind::gauge, static_cast<double>(memory_max_.load()));
    add_store(out, store_.stats());
    return out.take();
}

SysNumbers BrokerStats::sys_numbers() const {
    SysNumbers n;
    std::uint64_t sessions = 0;
    const auto total = [](const auto& counters) {
        std::uint64_t sum = 0;
        for (const Counter& counter : counters) sum += counter.get();
        return sum;
    };
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        const Counters& c = shards_.counters(i);
        n.clients_connected += c.connections.get();
        sessions += c.sessions.get() - c.bridge_sessions.get();
        n.clients_expired += c.sessions_expired.get();
        n.connections += c.connections_seen.get();
        n.packets_received += c.packets_received.get();
        n.packets_sent += c.packets_sent.get();
        n.publishes_received += total(c.publishes_received);
        n.publishes_sent += total(c.publishes_sent);
        n.publishes_dropped += total(c.drops) + c.mail_drops.get();
        n.publish_bytes_received += c.publish_bytes_received.get();
        n.publish_bytes_sent += c.publish_bytes_sent.get();
        n.bytes_received += c.bytes_received.get();
        n.bytes_sent += c.bytes_sent.get();
        n.subscriptions += c.subscriptions.get();
        n.shared_subscriptions += c.shared_subscriptions.get();
    }
    n.clients_disconnected = sessions - std::min(sessions, n.clients_connected);
    n.retained_messages = retained_.size();
    n.messages_stored = n.retained_messages + store_.stats().rows;
    const auto heap = ::mallinfo2();
    n.heap_bytes = heap.uordblks + heap.hblkhd;
    return n;
}

std::vector<shard::BridgeStatus> BrokerStats::bridges() const {
    return bridges_.status();
}

shard::Health BrokerStats::health() const {
    shard::Health health;
    health.live = live_;
    health.ready = ready_;
    if (!live_) health.alarms.emplace_back("broker: a shard does not answer");
    if (const std::string trouble = shards_.store_trouble(); !trouble.empty()) {
        health.alarms.push_back("store: " + trouble);
    }
    const std::uint64_t held = memory_gauge::total(), held_max = memory_max_;
    if (held_max > 0 && held >= held_max) {
        health.alarms.push_back(
            fmt::format("memory: {} MiB are held, limits.memory_max is {} MiB: publishers are slowed",
                        held >> 20, held_max >> 20));
    }
    for (const std::string& line : damage_) health.alarms.push_back("store: " + line);
    for (const shard::BridgeStatus& b : bridges()) {
        if (auto alarm = bridge_alarm(b)) health.alarms.push_back(*std::move(alarm));
    }
    return health;
}

}  // namespace sluice::app
