// limits.memory_max: what a shard does when the messages of all shards together come near it.
//
// In this order: clients that do not keep up get no QoS 0 and persistent queues are left to the store; then
// publishers are read slowly and queues in memory do not grow; then whoever has stopped reading pays: the
// queue of a session that ends with its connection is halved, and a client that takes nothing at all is
// disconnected. So one that stalls does not slow the publishers for good. Nothing of it waits for anything: a
// held publisher gets one message through per second at least, and every acknowledgement between two of its
// publishes, so what is in the way can always drain.
#include <fmt/format.h>
#include <malloc.h>

#include <atomic>

#include "base/log.hpp"
#include "base/memory_gauge.hpp"
#include "shard/connection.hpp"
#include "shard/shard.hpp"

namespace sluice::shard {

using Level = MemoryWatch::Level;

namespace {

constexpr Millis memory_tick{20};
constexpr Millis held_longest{1000};
constexpr Millis relief_interval{250};
constexpr Millis trim_interval{1000};
constexpr Millis trim_interval_at_end{100};

constexpr std::string_view meaning_of(Level level) {
    switch (level) {
        case Level::plenty:
            return "there is enough again";
        case Level::tight:
            return "clients that do not keep up get no QoS 0, persistent queues are left to the disk";
        case Level::full:
            break;
    }
    return "publishers are slowed";
}

/// What was let go goes back to the system: the allocator keeps whatever has something in use behind it. Once
/// an interval for the whole process; it takes some milliseconds.
void give_back(MonoTime now, Millis interval) {
    static std::atomic<std::int64_t> last{0};
    const std::int64_t at = now.time_since_epoch().count();
    std::int64_t before = last.load(std::memory_order_relaxed);
    if (at - before < interval.count() || !last.compare_exchange_strong(before, at)) return;
    ::malloc_trim(0);
}

}  // namespace

void Shard::look_at_memory() {
    const std::uint64_t bytes_max = parts_.limits.memory_max.value_or(0);
    const std::uint64_t bytes = bytes_max == 0 ? 0 : memory_gauge::total();
    const Level before = memory_.level();
    if (memory_.look(now().mono, memory_gauge::grown_here(), bytes, bytes_max)) {
        if (memory_.level() > before) {
            for (std::size_t i = 0; i < peers_.size(); ++i) {
                if (i != index_) peers_[i].mailbox->post(mail::LookAtMemory{});
            }
        }
        if (memory_.level() == Level::plenty) give_back(now().mono, trim_interval_at_end);
        static log::RateLimit limit(10'000);
        std::uint64_t suppressed = 0;
        if (limit.allow(now().mono.time_since_epoch().count(), suppressed)) {
            log::warn(
                fmt::format("memory: {} KiB of messages, limits.memory_max is {} KiB: {} ({} more "
                            "changes before)",
                            bytes / 1024, bytes_max / 1024, meaning_of(memory_.level()), suppressed));
        }
    }
}

void Shard::relieve_memory() {
    arm_memory_tick();
    const Level level = memory_level();
    if (level == Level::plenty || now().mono < next_relief_) return;
    next_relief_ = now().mono + relief_interval;
    for (core::SubscriberId id = 0; id < slots_.size(); ++id) {
        Slot& s = slots_[id];
        if (!s.session) continue;
        s.session->spill();
        if (level != Level::full) continue;
        core::Effects& effects = begin_step();
        s.session->shed(effects);
        execute(id, effects);
        if (s.link && !s.lane) static_cast<Connection*>(s.link.get())->end_if_stuck();
    }
    give_back(now().mono, trim_interval);
}

core::MemoryRoom Shard::memory_room() {
    switch (memory_level()) {
        case Level::plenty:
            return core::MemoryRoom::plenty;
        case Level::tight:
            return core::MemoryRoom::tight;
        case Level::full:
            break;
    }
    return core::MemoryRoom::none;
}

void Shard::hold_for_memory(core::SubscriberId id) {
    counters_.publishers_slowed.add();
    held_readers_.push_back({id, slots_[id].generation, now().mono});
    arm_memory_tick();
}

void Shard::arm_memory_tick() {
    const bool held = !held_readers_.empty();
    // Without traffic there are no turns, and what waits here would never be looked at.
    if (!held && memory_.level() == Level::plenty) return;
    const MemoryTick wanted = held ? MemoryTick::quick : MemoryTick::slow;
    if (memory_tick_ >= wanted) return;
    memory_tick_ = wanted;
    memory_timer_.expires_after(held ? memory_tick : relief_interval);
    memory_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;  // armed anew for an earlier time
        memory_tick_ = MemoryTick::none;
        release_readers();
        arm_memory_tick();
    });
}

void Shard::release_readers() {
    std::vector<HeldReader> held;
    held.swap(held_readers_);
    for (const HeldReader& reader : held) {
        const Slot& s = slots_[reader.id];
        if (s.generation != reader.generation || !s.link) continue;
        // Asked for each: what one lets in may be too much for the next.
        if (memory_level() == Level::full && now().mono - reader.since < held_longest) {
            held_readers_.push_back(reader);
        } else {
            static_cast<Connection*>(s.link.get())->on_memory_due();
        }
    }
}

}  // namespace sluice::shard
