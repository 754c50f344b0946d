#include "shard/shard.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/log.hpp"

namespace sluice::shard {
namespace {

// Handlers that may run before the results of a turn leave, and how long: enough to batch a burst, little
// enough that nobody waits long. One handler may be a thousand messages for a thousand subscribers.
constexpr int handlers_per_turn = 256;
constexpr std::chrono::milliseconds gathering_max{5};
constexpr int turns_between_looks = 8;
constexpr std::size_t letters_per_turn = 1000;
constexpr std::size_t letters_kept_max = 1024;
// Of a full queue in the store: asked for at once, 16 bytes each.
constexpr std::size_t oldest_rows = 64;
// A longer turn freezes every client of the shard; it is worth a line in the log.
constexpr auto long_turn = Millis(50);

}  // namespace

Shard::Shard(store::ShardIndex index, SharedParts parts)
    : Post([this] { doorbell_.ring(); }),
      index_(index),
      parts_(std::move(parts)),
      client_bounds_(core::share_bounds(bounds_of_clients(parts_))),
      doorbell_(context_, [this] { take_mail(); }),
      timer_(context_),
      lane_timer_(context_),
      retained_timer_(context_),
      handover_timer_(context_),
      memory_timer_(context_) {}

Shard::~Shard() = default;

Now Shard::now() {
    if (!now_read_) {
        now_ = Now::read();
        now_read_ = true;
    }
    return now_;
}

void Shard::set_peers(std::vector<Peer> peers) {
    peers_ = std::move(peers);
    outgoing_.resize(peers_.size());
    share_orders_.resize(peers_.size());
    groups_.set_place(index_, static_cast<std::uint32_t>(peers_.size()));
}

void Shard::run() {
    owner_.adopt();
    const auto keep_running = boost::asio::make_work_guard(context_);
    now_read_ = false;  // restore() has read it
    if (index_ == 0) arm_retained_sweep(parts_.retained_sweep);
    while (!stopping_) {
        context_.run_one();
        if (looks_for_more()) gather_more();
        end_turn();
    }
}

// Looking whether more has come costs a system call. Where single messages come one by one it finds nothing,
// so it is then done only now and then; under load each turn finds its batch.
bool Shard::looks_for_more() {
    return !lone_turns_ || ++turns_since_look_ >= turns_between_looks;
}

void Shard::gather_more() {
    const auto end = std::chrono::steady_clock::now() + gathering_max;
    int handlers = 1;
    while (handlers < handlers_per_turn && !turn_full_ && context_.poll_one() > 0) {
        ++handlers;
        if (std::chrono::steady_clock::now() >= end) break;
    }
    lone_turns_ = handlers == 1 && !turn_full_;
    turns_since_look_ = 0;
}

bool Shard::run_ready() {
    owner_.adopt();
    context_.restart();  // it stops whenever it runs out of work
    now_read_ = false;
    int handlers = 0;
    while (handlers < handlers_per_turn && !stopping_ && !turn_full_ && context_.poll_one() > 0) ++handlers;
    end_turn();
    return handlers > 0;
}

bool Shard::open_letters(bool all) {
    opening_letters_ = true;
    std::size_t opened = 0;
    while (letters_opened_ < letters_.size() && (all || opened < letters_per_turn)) {
        Envelope& letter = letters_[letters_opened_++];
        const bool is_heavy = carries_many(letter);
        opened += is_heavy ? letters_per_turn : 1;
        turn_full_ |= is_heavy && !all;
        std::visit([this](auto& one) { open_mail(one); }, letter);
    }
    opening_letters_ = false;
    if (letters_opened_ < letters_.size()) return false;
    letters_.clear();
    letters_opened_ = 0;
    // What a burst needed is not kept for the next one.
    if (letters_.capacity() > letters_kept_max) letters_.shrink_to_fit();
    return true;
}

void Shard::take_mail() {
    if (mail_posted_) return;
    const bool fresh = letters_.empty();
    if (fresh) mailbox().take(letters_);
    const bool done = open_letters(false);
    // Mail that came since the box was emptied has woken us, or will.
    if (done && (fresh || mailbox().depth() == 0)) return;
    // After a stall there may be very many; sockets and the store have their turn in between.
    turn_full_ = true;
    mail_posted_ = true;
    boost::asio::post(context_, [this] {
        mail_posted_ = false;
        take_mail();
    });
}

void Shard::catch_up_with_mail() {
    if (is_only_shard() || opening_letters_) return;
    open_letters(true);  // what a turn has left over
    mailbox().take(letters_);
    open_letters(true);
}

void Shard::post_outgoing() {
    for (std::size_t i = 0; i < outgoing_.size(); ++i) peers_[i].mailbox->post_all(outgoing_[i]);
}

void Shard::open_mail(mail::Admit& letter) {
    admit(std::move(*letter.admission));
}

void Shard::open_mail(mail::Deliver& letter) {
    const std::size_t before = batch_.size();
    Passage passage{.message = letter.message, .origin = letter.origin.get()};
    fan_out(passage);
    finish_delivery(letter, passage, before);
}

void Shard::open_mail(mail::DeliverShares& letter) {
    Passage passage{.message = letter.message, .origin = letter.origin.get()};
    finish_delivery(letter, passage, batch_.size());
}

void Shard::finish_delivery(mail::Deliver& letter, Passage& passage, std::size_t before) {
    if (!letter.shares.empty()) accept_shares(letter, passage);
    end_passage(passage);
    if (!letter.shares.empty() && any_share_orders()) return pass_on(letter, passage, batch_.size() > before);
    if (!letter.ticket) return;
    const auto answer = [this, ref = letter.ticket, worst = passage.worst, matched = passage.matched] {
        outgoing_[ref.shard].emplace_back(mail::Answer{ref.ticket, worst, matched});
    };
    if (batch_.size() > before) {
        deferred_.push_back({next_turn(), answer});
    } else {
        answer();
    }
}

void Shard::open_mail(mail::Answer& letter) {
    tickets_.answer(letter.ticket, letter.code, letter.matched);
}

void Shard::open_mail(mail::Publish& letter) {
    publish(letter.message, 0);
}

void Shard::open_mail(mail::Committed& letter) {
    committed_turn_ = letter.turn;
    while (!held_tickets_.empty() && held_tickets_.front().turn <= letter.turn) {
        const TicketId ticket = held_tickets_.front().ticket;
        held_tickets_.pop_front();
        tickets_.answer(ticket, wire::ReasonCode::success, false);
    }
    while (!deferred_.empty() && deferred_.front().turn <= letter.turn) {
        const auto run = std::move(deferred_.front().run);
        deferred_.pop_front();
        run();
    }
}

void Shard::open_mail(mail::QueueLoaded& letter) {
    if (take_link_read(letter)) return;
    loads_under_way_.erase(letter.session);
    loads_due_ |= !loads_.empty();
    const auto it = by_key_.find(letter.session);
    if (it == by_key_.end()) return on_leaving_loaded(letter);
    if (const auto& lane = slots_[it->second].lane; lane && !lane->forgotten.empty()) {
        std::erase_if(letter.entries, [&](const core::QueueEntry& entry) {
            return std::find(lane->forgotten.begin(), lane->forgotten.end(), entry.row) !=
                   lane->forgotten.end();
        });
        if (!slots_[it->second].session->oldest_asked()) lane->forgotten.clear();
    }
    core::Effects& effects = begin_step();
    slots_[it->second].session->on_loaded(std::move(letter.entries), letter.exhausted, now(), effects);
    execute(it->second, effects);
}

void Shard::open_mail(mail::OldestFound& letter) {
    const auto it = by_key_.find(letter.session);
    if (it == by_key_.end()) return;
    if (const auto& lane = slots_[it->second].lane) {
        const std::vector<core::RowId> forgotten = std::exchange(lane->forgotten, {});
        std::erase_if(letter.rows, [&](const core::StoredRow& one) {
            return std::find(forgotten.begin(), forgotten.end(), one.row) != forgotten.end();
        });
    }
    core::Effects& effects = begin_step();
    slots_[it->second].session->on_oldest_found(std::move(letter.rows), letter.exhausted, effects);
    execute(it->second, effects);
    if (slots_[it->second].lane) mark_dirty(it->second);
}

void Shard::open_mail(mail::Reload& letter) {
    parts_.authenticator = std::move(letter.authenticator);
    parts_.authorizer = std::move(letter.authorizer);
    parts_.limits = *letter.limits;
    client_bounds_ = core::share_bounds(bounds_of_clients(parts_));
    for (core::SubscriberId id = 0; id < slots_.size(); ++id) {
        Slot& s = slots_[id];
        // The bounds of a spool are its route's.
        if (!s.session || s.client_id.starts_with(bridge_session_prefix)) continue;
        s.session->set_bounds(client_bounds_);
        if (s.shares > 0) refresh_member(id);
    }
}

void Shard::open_mail(mail::Ping&) {
    counters_.pings.add();
}

/// At once: our own last look may have been just before.
void Shard::open_mail(mail::LookAtMemory&) {
    look_at_memory();
}

void Shard::open_mail(mail::Close& letter) {
    closed_ = std::move(letter.done);
    stop_all();
}

void Shard::open_mail(mail::Stop&) {
    stop_all();
    stopping_ = true;
}

void Shard::add_timer(MonoTime when, TimerKind kind, core::SubscriberId id) {
    timers_.add(when, kind, id, slots_[id].generation);
    if (timers_.crowded()) timers_.compact([this](const Timer& timer) { return is_current(timer); });
    arm_timer();
}

bool Shard::is_current(const Timer& timer) const {
    const Slot& s = slots_[timer.slot];
    return s.session && (s.generation & 0xffffffU) == timer.generation;
}

void Shard::arm_timer() {
    if (timers_.empty() || timers_.next() >= timer_armed_for_) return;
    timer_armed_for_ = timers_.next();
    timer_.expires_at(std::chrono::steady_clock::time_point(timer_armed_for_));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;  // armed anew for an earlier deadline
        timer_armed_for_ = MonoTime::max();
        fire_timers();
        arm_timer();
    });
}

void Shard::fire_timers() {
    while (!timers_.empty() && timers_.next() <= now().mono) fire(timers_.pop());
}

void Shard::end_turn() {
    if (memory_level() != MemoryWatch::Level::plenty) relieve_memory();
    while (any_progress_dirty_ || !batch_.empty() || !dirty_links_.empty() || loads_due_ ||
           !oldest_asked_.empty() || !link_reads_.wanted.empty() || !handovers_.loads.empty() ||
           !due_answers_.empty()) {
        // An answer or a flush may find a client gone, which publishes its will: that belongs into the next
        // round, not to nobody.
        give_due_answers();
        post_ledger();
        // Before the bytes: whoever reads an answer may tell another client, and what that one asks of its
        // shard must not overtake what this one did.
        post_outgoing();
        flush_links();
    }
    if (groups_.has_news()) announce_groups(0);
    post_outgoing();
    if (closed_) std::exchange(closed_, nullptr)->count_down();
    graveyard_.clear();
    counters_.turns.add();
    if (now_read_) {  // else nothing happened in it that needed the time
        const auto started = now_.mono;
        const auto took = Now::read().mono - started;
        counters_.turn_ms_max.raise_to(static_cast<std::uint64_t>(took.count()));
        if (took > long_turn) {
            static log::RateLimit limit(10'000);
            std::uint64_t suppressed = 0;
            if (limit.allow(started.time_since_epoch().count(), suppressed)) {
                log::warn(fmt::format("shard {}: a turn took {} ms ({} more were held back)", index_,
                                      took.count(), suppressed));
            }
        }
    }
    now_read_ = false;
    turn_full_ = false;
}

void Shard::give_due_answers() {
    while (!due_answers_.empty()) {
        const auto [ticket, code] = due_answers_.front();
        due_answers_.pop_front();
        tickets_.answer(ticket, code, true);
    }
}

void Shard::post_ledger() {
    for (const core::SubscriberId id : dirty_progress_) {
        Slot& s = slots_[id];
        if (!s.progress_dirty) continue;
        s.progress_dirty = false;
        if (!s.session || !s.session->durable()) continue;
        batch_.emplace_back(s.session->progress());
        if (const std::uint64_t mark = s.session->record_mark()) tell_when_recorded(id, mark);
    }
    dirty_progress_.clear();
    any_progress_dirty_ = false;
    if (!batch_.empty()) {
        ++turn_;
        if (retained_changed_)
            batch_.emplace_back(core::RetainedUpTo{parts_.retained->order().passed(index_)});
        parts_.store->post_batch(index_, turn_, std::move(batch_));
        batch_.clear();
        rows_posted_ = row_counter_;
    }
    for (const core::ExchangePtr& over : std::exchange(exchanges_over_, {})) over->set_recorded();
    if (std::exchange(retained_changed_, false)) parts_.retained->order().handed_over(index_);
    post_loads();
    for (const core::SubscriberId id : oldest_asked_) {
        const auto& session = slots_[id].session;
        if (session)
            parts_.store->post_find_oldest(index_, session->key(), session->oldest_after(), oldest_rows);
    }
    oldest_asked_.clear();
    post_reads();
    post_leaving_loads();
}

void Shard::flush_links() {
    std::vector<core::SubscriberId> links;
    links.swap(dirty_links_);
    for (const core::SubscriberId id : links) {
        Slot& s = slots_[id];
        s.link_dirty = false;
        if (!s.link) continue;
        if (s.lane) {
            Backlog backlog{s.session->backlog_messages(), s.session->backlog_bytes(), {}};
            s.session->oldest_received(backlog.oldest);
            s.link->on_backlog(backlog);
        }
        s.link->flush(now());
    }
}

void Shard::hold_until_commit(TicketId ticket) {
    if (ticket == 0 || !in_commit()) return;
    tickets_.add_waits(ticket, 1);
    held_tickets_.push_back({next_turn(), ticket});
}

void Shard::save_progress(core::SubscriberId id) {
    Slot& s = slots_[id];
    if (s.progress_dirty || !s.session->durable()) return;
    s.progress_dirty = any_progress_dirty_ = true;
    dirty_progress_.push_back(id);
}

void Shard::mark_dirty(core::SubscriberId id) {
    Slot& s = slots_[id];
    if (s.link_dirty) return;
    s.link_dirty = true;
    dirty_links_.push_back(id);
}

}  // namespace sluice::shard
