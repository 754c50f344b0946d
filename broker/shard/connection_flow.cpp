// What comes in, and when it may: keep-alive, and the pauses of a client that is ahead of us.
#include <fmt/format.h>
#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "shard/connection.hpp"

namespace sluice::shard {

using wire::ReasonCode;
using wire::WireError;

namespace {

// Answers that may wait for the disk before a client without a Receive Maximum (3.1.1) is read no further,
// and when it is read again.
// (half of it). All of these have a second figure for when limits.memory_max is reached.
constexpr std::size_t acks_waiting_max = 1000, acks_waiting_max_full = 100;
// The same for what these answers will say: one SUBSCRIBE may hold a hundred thousand filters.
constexpr std::size_t work_waiting_max = 256 * 1024, work_waiting_max_full = 16 * 1024;
// Answers that a client may leave unread before it is read no further, and when it is read again (half of
// it). One that is heard no more cannot acknowledge messages either, so those do not count.
constexpr std::size_t answers_unsent_max = 256 * 1024, answers_unsent_max_full = 8 * 1024;
// What may have come of a packet, or behind one that is held, without waiting for room.
constexpr std::size_t unfinished_bytes_fair = 16 * 1024;
// So much of an unfinished packet is a sign of life, in however many pieces the link brings it: a long packet
// on a slow link is, a byte now and then from somebody who wants to stay is not.
constexpr std::size_t lively_bytes = 512;
// What a client may leave unread for a moment without being called slow.
constexpr std::size_t backlog_bytes_fair = 64 * 1024;
// Some five seconds.
constexpr std::uint8_t reliefs_stuck_max = 20;

}  // namespace

std::uint16_t Connection::keep_alive_for(std::uint16_t asked_s, std::chrono::seconds longest) {
    if (longest.count() == 0) return asked_s;
    const auto longest_s = static_cast<std::uint16_t>(longest.count());
    return asked_s == 0 ? longest_s : std::min(asked_s, longest_s);
}

void Connection::on_bytes(Bytes plain) {
    if (gone_) return;
    shard_.counters().bytes_received.add(plain.size());
    heard_ = true;
    feed(plain);
}

void Connection::note_received(bool whole_packet, std::size_t bytes) {
    const std::size_t since = bytes_since_received_ + bytes;
    const bool lively = whole_packet || since >= lively_bytes;
    if (lively) last_received_ = shard_.now().mono;
    bytes_since_received_ = lively ? 0 : static_cast<std::uint16_t>(since);
}

void Connection::feed(Bytes plain) {
    std::optional<WireError> error;
    bool whole_packet = false;
    feeding_ = true;
    const auto cut = frames_.feed(plain, [&](const wire::Frame& frame) {
        whole_packet = true;
        shard_.counters().packets_received.add();
        if (const Step step = handle(frame); !step) error = step.error();
        return !error && !gone_ && !is_held();
    });
    feeding_ = false;
    note_received(whole_packet, plain.size());
    if (!cut && !error) error = cut.error();
    if (error) fail(*error);
    if (!gone_ && too_much_waits()) pause(Pause::acks);
    if (!gone_ &&
        output_.answers(channel_.unsent_bytes()) > unless_full(answers_unsent_max, answers_unsent_max_full))
        pause(Pause::output);
    hold_unfinished();
    listen();
}

void Connection::end_holds() {
    holds_ended_ = true;
    pauses_ &= static_cast<std::uint8_t>(~held_pauses);
}

void Connection::feed_held() {
    // An exception has ended a feed(): what is kept has been handled in part.
    if (feeding_) return;
    end_holds();
    try {
        feed({});
    } catch (const std::exception& e) {
        log::error(fmt::format("{} had more to say: {}", describe(), e.what()));
    }
}

void Connection::hold_unfinished() {
    const std::size_t bytes = unfinished_bytes();
    unfinished_.set(bytes);
    if (gone_ || holds_ended_ || is_held() || bytes <= unfinished_bytes_fair) return;
    if (shard_.too_much_unfinished()) hold_for(true);
}

void Connection::end_unfinished() {
    if (gone_) return;
    shard_.counters().ended_for_memory.add();
    fail({ReasonCode::quota_exceeded,
          "there is no room for the rest of its packet: too many are unfinished (limits.memory_max)"});
}

void Connection::pause(Pause why) {
    channel_.pause_reading();
    pauses_ |= static_cast<std::uint8_t>(why);
}

void Connection::listen() {
    // What has come is handled before more is asked for, or the end of the connection overtakes it.
    if (pauses_ == 0 && !feeding_ && !gone_) channel_.resume_reading();
}

void Connection::resume(Pause why) {
    const auto bit = static_cast<std::uint8_t>(why);
    if ((pauses_ & bit) == 0) return;
    pauses_ = static_cast<std::uint8_t>(pauses_ & ~bit);
    // What it sent meanwhile is still to be read: silence was ours.
    last_received_ = shard_.now().mono;
    listen();
}

bool Connection::too_much_waits() const {
    return acks_.size() >= unless_full(acks_waiting_max, acks_waiting_max_full) ||
           work_bytes_ >= unless_full(work_waiting_max, work_waiting_max_full);
}

void Connection::on_acks_left() {
    if (gone_ || (pauses_ & static_cast<unsigned>(Pause::acks)) == 0) return;
    if (acks_.size() < unless_full(acks_waiting_max, acks_waiting_max_full) / 2 &&
        work_bytes_ < unless_full(work_waiting_max, work_waiting_max_full) / 2)
        resume(Pause::acks);
}

void Connection::on_output_left() {
    if (gone_ || (pauses_ & static_cast<unsigned>(Pause::output)) == 0) return;
    if (output_.answers(channel_.unsent_bytes()) <=
        unless_full(answers_unsent_max, answers_unsent_max_full) / 2)
        resume(Pause::output);
}

void Connection::hold_to_rate() {
    const std::uint32_t per_second = shard_.limits().publish_rate_max;
    if (per_second == 0 || holds_ended_) return;
    const Millis wait = rate_.take(shard_.now().mono, per_second);
    if (wait.count() == 0) return;
    shard_.counters().publishers_paced.add();
    static log::RateLimit limit(10'000);
    std::uint64_t suppressed = 0;
    if (limit.allow(shard_.now().mono.time_since_epoch().count(), suppressed)) {
        log::info(
            fmt::format("{} publishes faster than limits.publish_rate_max ({} per second) and is read "
                        "more slowly ({} more pauses before)",
                        describe(), per_second, suppressed));
    }
    pause(Pause::rate);
    shard_.add_timer(shard_.now().mono + wait, TimerKind::publish_rate, id_);
}

void Connection::hold_to_memory() {
    if (gone_ || holds_ended_ || shard_.memory_level() != MemoryWatch::Level::full) return;
    hold_for(false);
}

void Connection::hold_to_store() {
    // Who has something to acknowledge makes room by that, and must be heard.
    if (gone_ || holds_ended_ || session().inflight_count() > 0) return;
    hold_for(false);
}

void Connection::hold_for(bool unfinished) {
    if ((pauses_ & static_cast<unsigned>(Pause::memory)) != 0) return;
    pause(Pause::memory);
    shard_.hold_for_memory(id_, unfinished);
}

void Connection::on_memory_due() {
    release(Pause::memory);
}

void Connection::end_if_stuck() {
    if (gone_) return;
    // What waits for it and it takes nothing of, and what it has begun to send and does not go on with. Each
    // by itself: a ping now and then is no sign that it reads. And what grows moves: a long packet on a slow
    // link.
    const std::size_t unsent = channel_.unsent_bytes();
    const std::uint64_t taken = output_.taken(unsent);
    const bool takes = taken > std::exchange(taken_at_relief_, taken);
    const bool goes_on = std::exchange(heard_, false) || pauses_ != 0;
    const bool answers = std::exchange(answers_, false);
    const bool stuck = (unsent > backlog_bytes_fair && !takes) ||
                       (session().inflight_bytes() > backlog_bytes_fair && !answers && !takes) ||
                       (unfinished_bytes() > backlog_bytes_fair && !goes_on);
    reliefs_stuck_ = stuck ? static_cast<std::uint8_t>(reliefs_stuck_ + 1) : std::uint8_t{0};
    if (reliefs_stuck_ < reliefs_stuck_max) return;
    shard_.counters().ended_for_memory.add();
    fail({ReasonCode::quota_exceeded, "it does not move while limits.memory_max is reached"});
}

bool Connection::keeps_up() {
    const auto level = shard_.memory_level();
    if (level == MemoryWatch::Level::plenty) return true;
    // A turn may bring more than there is memory for: what the client takes at once does not count against
    // it.
    if (channel_.unsent_bytes() > backlog_bytes_fair) {
        channel_.flush();
        backlog_bytes_ = channel_.unsent_bytes();
    }
    return backlog_bytes_ <= (level == MemoryWatch::Level::tight ? backlog_bytes_fair : 0);
}

void Connection::on_rate_due() {
    release(Pause::rate);
}

void Connection::release(Pause why) {
    const auto bit = static_cast<std::uint8_t>(why);
    if (gone_ || (pauses_ & bit) == 0) return;
    pauses_ = static_cast<std::uint8_t>(pauses_ & ~bit);
    last_received_ = shard_.now().mono;
    // One that has gone would else live on until all that it has sent is read, at our pace.
    if (channel_.peer_ended()) end_holds();
    // Packets that came in the same read as the one that was too many. They may be too many again, so nothing
    // is read before.
    if (!is_held()) feed({});
}

void Connection::on_keep_alive_due() {
    // Nobody can be heard while we do not listen. But if that is because it does not read, then it must at
    // least read slowly.
    const std::uint64_t taken = output_.taken(channel_.unsent_bytes());
    const bool takes = taken > std::exchange(taken_at_keep_alive_, taken);
    const bool only_output = pauses_ == static_cast<std::uint8_t>(Pause::output);
    if (pauses_ != 0 && (takes || !only_output) && !channel_.peer_ended()) last_received_ = shard_.now().mono;
    // One and a half times the interval [MQTT-3.1.2-22].
    const auto deadline = last_received_ + Millis(keep_alive_s_ * 1500);
    if (shard_.now().mono < deadline) {
        shard_.add_timer(deadline, TimerKind::keep_alive, id_);
        return;
    }
    fail({ReasonCode::keep_alive_timeout, "nothing came within one and a half times the keep-alive"});
}

}  // namespace sluice::shard
