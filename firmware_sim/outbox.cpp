#include "firmware_sim/outbox.hpp"

#include <utility>

#include "base/check.hpp"

namespace sluice::firmware {

void Outbox::push(std::uint64_t seq, std::string payload) {
    CHECK(!full());
    CHECK(entries_.empty() || entries_.rbegin()->first < seq);
    Entry entry;
    entry.payload = std::move(payload);
    entries_.emplace(seq, std::move(entry));
}

std::optional<Outbox::Sending> Outbox::take(MonoTime now) {
    if (inflight() >= inflight_max_) return std::nullopt;
    for (auto& [seq, entry] : entries_) {
        if (entry.in_flight) continue;
        // Later messages wait too: a device's order is kept.
        if (entry.not_before > now) return std::nullopt;
        entry.in_flight = true;
        seq_of_.emplace(++last_attempt_, seq);
        return Sending{last_attempt_, seq, entry.payload, std::exchange(entry.sent_before, true)};
    }
    return std::nullopt;
}

std::optional<std::uint64_t> Outbox::on_acknowledged(Attempt attempt) {
    const auto known = seq_of_.find(attempt);
    if (known == seq_of_.end()) return std::nullopt;
    const std::uint64_t seq = known->second;
    seq_of_.erase(known);
    entries_.erase(seq);
    return seq;
}

void Outbox::on_failed(Attempt attempt, MonoTime retry_at) {
    const auto known = seq_of_.find(attempt);
    if (known == seq_of_.end()) return;
    Entry& entry = entries_.at(known->second);
    entry.in_flight = false;
    entry.not_before = retry_at;
    seq_of_.erase(known);
}

void Outbox::release_all() {
    for (const auto& [attempt, seq] : seq_of_) entries_.at(seq).in_flight = false;
    seq_of_.clear();
}

}  // namespace sluice::firmware
