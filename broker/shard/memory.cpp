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
#include "net/thread_buffers.hpp"
#include "shard/connection.hpp"
#include "shard/mail_cost.hpp"
#include "shard/shard.hpp"
#include "wire/topic.hpp"

namespace sluice::shard {

using Level = MemoryWatch::Level;

namespace {

constexpr Millis memory_tick{20};
constexpr Millis held_longest{1000};
constexpr Millis held_longest_over{5000};
constexpr Millis unfinished_patience{1000};
constexpr std::uint64_t unfinished_besides_one = 64 * 1024;
// What a session may have in memory when that is short, and still get more from the store.
constexpr std::size_t loaded_bytes_fair = 16 * 1024;
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

/// Windows that are read back at the same time: what is on its way is in nobody's count yet.
std::size_t loads_at_once(std::uint64_t budget, const core::QueueBounds& bounds) {
    constexpr std::uint64_t most = 8, part = 16;
    if (budget == 0) return most;
    return std::clamp<std::uint64_t>(budget / part / std::max<std::size_t>(bounds.window_bytes, 1), 1, most);
}

/// What is read behind the packet that is held has to be kept.
constexpr std::size_t read_bytes_at(Level level) {
    switch (level) {
        case Level::plenty:
            return net::ThreadBuffers::read_bytes;
        case Level::tight:
            return net::ThreadBuffers::read_bytes / 4;
        case Level::full:
            break;
    }
    return 4096;
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
    if (MailCost::mine().any_on_the_way()) {
        bool arrived = true;
        for (std::size_t i = 0; i < peers_.size(); ++i)
            arrived &= outgoing_[i].empty() && (i == index_ || peers_[i].mailbox->depth() == 0);
        if (arrived) MailCost::mine().note_all_arrived();
    }
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
        net::ThreadBuffers::mine().set_read_bytes(read_bytes_at(memory_.level()));
        static log::RateLimit limit(10'000);
        std::uint64_t suppressed = 0;
        if (limit.allow(now().mono.time_since_epoch().count(), suppressed)) {
            log::warn(
                fmt::format("memory: {} KiB are held, limits.memory_max is {} KiB: {} ({} more changes "
                            "before)",
                            bytes / 1024, bytes_max / 1024, meaning_of(memory_.level()), suppressed));
        }
    }
}

void Shard::relieve_memory() {
    arm_memory_tick();
    const Level level = memory_level();
    if (level == Level::plenty || now().mono < next_relief_) return;
    next_relief_ = now().mono + relief_interval;
    // A window that was never asked for is not waited for by somebody who has gone: as long as it is, the
    // session gives nothing back.
    std::vector<core::SubscriberId> wanted;
    wanted.swap(loads_);
    for (const core::SubscriberId id : wanted) {
        auto& session = slots_[id].session;
        if (!session) continue;
        if (session->attached()) {
            loads_.push_back(id);
            continue;
        }
        core::Effects& effects = begin_step();
        session->on_loaded({}, false, now(), effects);
        effects.load_wanted = false;  // it will when its client is there
        execute(id, effects);
    }
    for (core::SubscriberId id = 0; id < slots_.size(); ++id) {
        Slot& s = slots_[id];
        if (!s.session) continue;
        if (level == Level::full || !s.session->attached()) s.session->spill();
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

bool Shard::may_keep(std::uint64_t bytes, Keep what) {
    const std::uint64_t bytes_max = parts_.limits.memory_max.value_or(0);
    if (bytes_max == 0) return true;
    if (memory_level() == Level::full) return false;
    // Half is for sessions and what they have, a quarter for new retained messages, and another eighth for
    // larger ones of topics that are there: to refuse them would leave an old value.
    if (what == Keep::state) return memory_gauge::kept() + bytes <= bytes_max / 2;
    const std::uint64_t eighths = what == Keep::retained ? 2 : 3;
    return memory_gauge::retained() + bytes <= bytes_max / 8 * eighths;
}

std::size_t subscription_bytes(std::string_view filter) {
    constexpr std::size_t each = 400, each_level = 100;
    return each + 2 * filter.size() + each_level * wire::level_count(filter);
}

void count_kept(Slot& s) {
    std::size_t bytes = session_bytes + s.client_id.size() + s.user_name.size();
    if (s.will) bytes += s.will->message->footprint_bytes();
    for (const auto& [filter, options] : s.subscriptions) bytes += subscription_bytes(filter);
    s.kept.set(bytes);
}

bool Shard::too_much_unfinished() const {
    const std::uint64_t bytes_max = parts_.limits.memory_max.value_or(0);
    if (bytes_max == 0) return false;
    // One packet of the largest size must find room when nobody else wants any.
    return memory_gauge::unfinished() >
           std::max<std::uint64_t>(bytes_max / 4, parts_.limits.packet_bytes_max + unfinished_besides_one);
}

void Shard::hold_for_memory(core::SubscriberId id, bool unfinished) {
    if (!unfinished) counters_.publishers_slowed.add();
    held_readers_.push_back({id, slots_[id].generation, now().mono, unfinished});
    arm_memory_tick();
}

void Shard::arm_memory_tick() {
    const bool held = !held_readers_.empty();
    // Without traffic there are no turns, and what waits here would never be looked at.
    if (!held && loads_.empty() && retained_put_off_.empty() && memory_.level() == Level::plenty) return;
    const MemoryTick wanted = held ? MemoryTick::quick : MemoryTick::slow;
    if (memory_tick_ >= wanted) return;
    memory_tick_ = wanted;
    memory_timer_.expires_after(held ? memory_tick : relief_interval);
    memory_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;  // armed anew for an earlier time
        memory_tick_ = MemoryTick::none;
        loads_due_ = !loads_.empty();
        release_readers();
        look_up_retained();
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
        const bool disk = store_holds_back();
        const Millis longest = memory_is_over() || disk ? held_longest_over : held_longest;
        const bool waits = reader.unfinished ? too_much_unfinished()
                                             : (memory_level() == Level::full || disk) &&
                                                   now().mono - reader.since < longest;
        if (waits) {
            held_readers_.push_back(reader);
        } else {
            static_cast<Connection*>(s.link.get())->on_memory_due();
        }
    }
    if (too_much_unfinished()) end_largest_unfinished();
}

void Shard::end_largest_unfinished() {
    Connection* largest = nullptr;
    for (const HeldReader& reader : held_readers_) {
        const Slot& s = slots_[reader.id];
        if (!reader.unfinished || s.generation != reader.generation || !s.link) continue;
        if (now().mono - reader.since < unfinished_patience) continue;
        auto* connection = static_cast<Connection*>(s.link.get());
        if (!largest || connection->unfinished_bytes() > largest->unfinished_bytes()) largest = connection;
    }
    if (largest) largest->end_unfinished();
}

bool Shard::may_load(const core::Session& session) {
    const Level level = memory_level();
    const std::size_t at_once = loads_at_once(parts_.limits.memory_max.value_or(0), session.bounds());
    if (level == Level::plenty) return loads_under_way_.size() < at_once;
    // What it has is to be acknowledged first.
    if (session.bytes_in_memory() > loaded_bytes_fair || memory_is_over()) return false;
    return loads_under_way_.size() < (level == Level::full ? 1 : at_once);
}

void Shard::post_loads() {
    loads_due_ = false;
    std::vector<core::SubscriberId> later;
    for (const core::SubscriberId id : loads_) {
        const auto& session = slots_[id].session;
        if (!session) continue;
        if (!may_load(*session)) {
            later.push_back(id);
            continue;
        }
        const std::size_t window = session->bounds().window_bytes;
        parts_.store->post_load_queue(
            index_, session->key(), session->load_after(), session->bounds().window_messages,
            memory_level() == Level::plenty ? window : std::min(window, loaded_bytes_fair));
        loads_under_way_.insert(session->key());
    }
    loads_.swap(later);
    if (!loads_.empty()) arm_memory_tick();
}

}  // namespace sluice::shard
