#pragma once
/// Shard: one thread, one io_context, and everything that lives on it: connections, sessions, topic tree,
/// timers, mailbox.
///
/// A turn: the handlers that are ready run (sockets, mail, timers), then end_turn() lets the results go in a
/// fixed order: the ledger's batch to the store, mail to the other shards, bytes to the sockets. Ten messages
/// for one socket are one write.
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "auth/auth.hpp"
#include "base/memory_gauge.hpp"
#include "core/retained_index.hpp"
#include "core/shared_groups.hpp"
#include "core/topic_tree.hpp"
#include "shard/client_index.hpp"
#include "shard/counters.hpp"
#include "shard/doorbell.hpp"
#include "shard/errand.hpp"
#include "shard/interest.hpp"
#include "shard/limits.hpp"
#include "shard/memory_watch.hpp"
#include "shard/peer.hpp"
#include "shard/post.hpp"
#include "shard/shared_parts.hpp"
#include "shard/slot.hpp"
#include "shard/takeover_damper.hpp"
#include "shard/timer_queue.hpp"
#include "shard/waiting.hpp"

namespace sluice::shard {

class Shard final : public Post, public LinkHost, private TicketOwner {
  public:
    Shard(store::ShardIndex index, SharedParts parts);
    ~Shard() override;

    // Before run(), by wiring.
    /// All shards, this one too, each at its index.
    void set_peers(std::vector<Peer> peers);
    /// Numbers of rows and sessions go on above these.
    void set_used(core::SessionKey session_key_max, core::RowId row_max);
    void restore(const store::RecoveredSession& recovered);
    /// After all restore(): what the other shards must know of it, before anybody can publish.
    void tell_restored();

    /// The thread's life; returns after post_stop().
    void run();
    /// One turn with what is ready now, on the caller's thread, instead of run(): for tests that decide
    /// themselves what happens when. False: nothing was ready.
    bool run_ready();
    Peer as_peer() { return {&mailbox(), &interest_}; }
    const Counters& counters() const { return counters_; }

    // LinkHost.
    Now now() override;
    void attach_link(LinkNumber number, std::uint16_t quota) override;
    void detach_link(LinkNumber number) override;
    void confirm(LinkNumber number, wire::PacketId packet_id) override;
    void refuse(LinkNumber number, wire::PacketId packet_id) override;
    bool give(LinkNumber to, const core::MessagePtr& message) override;
    void read_queue(LinkNumber number, core::RowId after) override;
    void forget(LinkNumber number, const core::QueueEntry& entry) override;
    core::RowId newest_row() override { return row_counter_ * 256 + index_; }

    // For connections; on the shard's thread.
    const Limits& limits() const { return parts_.limits; }
    bool is_only_shard() const { return peers_.size() == 1; }
    /// Opens all mail that has come. What another shard sent before a client asked takes effect before the
    /// answer: a new subscription gets no live copy of what was published before it, nor a retained message
    /// twice. Mail may end any connection, the caller's too. Does nothing from within mail.
    void catch_up_with_mail();
    Counters& counters() { return counters_; }
    boost::asio::io_context& context() { return context_; }
    TicketTable& tickets() { return tickets_; }
    Slot& slot(core::SubscriberId id) { return slots_[id]; }
    /// Cleared, for one step of a session; execute() takes it back.
    core::Effects& begin_step();
    void execute(core::SubscriberId id, core::Effects& effects);
    bool may(auth::Action action, const Slot& slot, std::string_view topic) const;
    /// Null when the method is not offered (any more).
    std::unique_ptr<auth::AuthExchange> begin_exchange(std::string_view method) const {
        return parts_.authenticator ? parts_.authenticator->begin_exchange(method) : nullptr;
    }

    /// The way of every message: retained, local sessions, other shards. `ticket` (or 0) gets a wait for each
    /// part that is not done at once; its own wait is the caller's. False: its publisher should wait.
    bool publish(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin = {});
    // once.cpp: QoS 2 messages of persistent sessions
    /// For publish(); `dup` as in the packet. Null: nothing of the message can be on disk without its id.
    OriginPtr origin_of(core::SubscriberId id, wire::PacketId packet_id, const core::Message& message,
                        bool dup);
    /// All shards have made it durable: in this turn's batch. False: it was recorded.
    bool record_inbound(core::SubscriberId id, wire::PacketId packet_id);
    /// From before a restart, until the client has repeated the message.
    bool has_arrivals(core::SubscriberId id, wire::PacketId packet_id) const;
    /// The id is free again: in this turn's batch, which must be durable before the client hears it.
    void forget_arrivals(core::SubscriberId id, wire::PacketId packet_id);
    /// The connection goes before the ticket is answered: the session waits for the answer.
    void leave_open(core::SubscriberId id, wire::PacketId packet_id, TicketId ticket);
    /// It was refused, and the client may not have heard it.
    void leave_refused(core::SubscriberId id, wire::PacketId packet_id, wire::ReasonCode code);
    bool is_open(core::SubscriberId id, wire::PacketId packet_id) const;
    /// A new connection waits in its place.
    HalfReceived::Open take_open(core::SubscriberId id, wire::PacketId packet_id);
    /// True when the subscription is new. `filter` is valid.
    bool subscribe(core::SubscriberId id, std::string_view filter, const core::SubscriptionOptions& options);
    bool unsubscribe(core::SubscriberId id, std::string_view filter);
    /// Tells the other shards what has changed in our shared subscriptions; `ticket` (or 0) waits until they
    /// know it.
    void announce_groups(TicketId ticket);
    /// The retained messages of one subscription, as its own messages [MQTT-3.3.1-9 to -11].
    void send_retained(core::SubscriberId id, std::string_view filter,
                       const core::SubscriptionOptions& options);
    /// The client has room again.
    void go_on_with_retained(core::SubscriberId id);
    /// The ticket waits until what this turn has changed in the session is durable. A session that ends with
    /// its connection has nothing on disk, and does not wait for what others have.
    void hold_until_saved(TicketId ticket, core::SubscriberId id) {
        if (slots_[id].session->durable()) hold_until_commit(ticket);
    }
    void save_progress(core::SubscriberId id);
    void mark_dirty(core::SubscriberId id);
    /// The connection of this slot is over; it is destroyed at the end of the turn.
    void depart(core::SubscriberId id, Departure how);
    /// DISCONNECT of version 5 may shorten or lengthen the session's life [MQTT-3.14.2-2].
    void set_session_expiry(core::SubscriberId id, std::uint32_t expiry_interval_s);
    void add_timer(MonoTime when, TimerKind kind, core::SubscriberId id);
    std::size_t timer_count() const { return timers_.size(); }  ///< those without interest included
    MemoryWatch::Level memory_level() {
        if (memory_.due(now().mono, memory_gauge::grown_here())) look_at_memory();
        return memory_.level();
    }
    bool store_holds_back() const { return parts_.store->holds_back(); }
    bool memory_is_over() { return memory_level() == MemoryWatch::Level::full && memory_.over(); }
    /// Whether so much more may come to stay; not while memory is full. The parts of the budget: memory.cpp.
    enum class Keep : std::uint8_t { state, retained, retained_instead };
    bool may_keep(std::uint64_t bytes, Keep what = Keep::state);
    bool too_much_unfinished() const;  ///< of packets
    /// Until its on_memory_due() it is not read. `unfinished`: it waits for room for the rest of a packet.
    void hold_for_memory(core::SubscriberId id, bool unfinished = false);

  private:
    // shard.cpp: the loop, mail and time
    bool looks_for_more();
    void gather_more();
    void take_mail();
    /// Those that were taken out of the box: all, or what a turn takes. True when none is left.
    bool open_letters(bool all);
    void post_outgoing();
    void open_mail(mail::Admit& letter);
    void open_mail(mail::AddLink& letter);
    void open_mail(mail::RemoveLink& letter);
    void open_mail(mail::Note& letter);
    void open_mail(mail::Deliver& letter);
    void open_mail(mail::DeliverShares& letter);
    void open_mail(mail::Answer& letter);
    void open_mail(mail::Publish& letter);
    void open_mail(mail::Brought& letter);
    void open_mail(mail::LinkSessions& letter);
    void open_mail(mail::GroupNews& letter);
    void open_mail(mail::Committed& letter);
    void open_mail(mail::QueueLoaded& letter);
    void open_mail(mail::OldestFound& letter);
    void open_mail(mail::Reload& letter);
    void open_mail(mail::Ping& letter);
    void open_mail(mail::LookAtMemory& letter);
    void open_mail(mail::Close& letter);
    void open_mail(mail::Stop& letter);
    void arm_timer();
    void fire_timers();
    void fire(const Timer& timer);
    /// Not about somebody who had the slot, or a connection that was there, before.
    bool is_current(const Timer& timer) const;

    // lanes.cpp: links of connectors
    core::SubscriberId lane_slot(LinkNumber number) const;
    /// Its link ends, its session stays; publishers that wait for the upstream are told.
    void take_lane_away(core::SubscriberId id);
    void tick_lanes();
    void arm_lane_tick();
    void replace_older(Slot& slot, const core::Message& message, core::RowId row);
    void post_reads();
    bool take_link_read(mail::QueueLoaded& letter);
    // memory.cpp: limits.memory_max
    void look_at_memory();
    void relieve_memory();
    core::MemoryRoom memory_room();
    void arm_memory_tick();
    void release_readers();
    void end_largest_unfinished();
    void post_loads();  ///< the next windows of sessions, as far as memory goes; the others later
    bool may_load(const core::Session& session);
    std::optional<wire::ReasonCode> lacks_memory_for(const Admission& admission);

    // turn.cpp: what leaves at the end of a turn
    void end_turn();
    void post_ledger();
    void flush_links();
    /// The end of a wait that is found inside a step, or while something is walked through: who hears it may
    /// end its session, whose will is published at once. So it is told at the end of the turn.
    void answer_soon(TicketId ticket, wire::ReasonCode code) { due_answers_.emplace_back(ticket, code); }
    void give_due_answers();
    /// The ticket waits until this turn's batch is durable, if there is anything in it.
    void hold_until_commit(TicketId ticket);
    bool in_commit() const { return !batch_.empty() || any_progress_dirty_; }
    store::TurnNumber next_turn() const { return turn_ + 1; }

    // fan_out.cpp
    void route(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin);
    void send_to_peers(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin);
    void fan_out(Passage& passage);
    void collect_matches(const core::MessagePtr& message);
    /// Whether this subscriber may and wants to have it.
    bool takes(core::SubscriberId id, const core::Message& message) const;
    void offer_to(const Match& match, const std::vector<std::uint32_t>& identifiers, const core::Share& share,
                  Passage& passage);
    // retained_delivery.cpp
    void look_up_retained();  ///< what was put off because memory was short
    void offer_retained(core::SubscriberId id, const core::MessagePtr& message,
                        const LinkSpec::Wanted& wanted);

    /// No more receivers for its row; the next one gets another.
    void close_row(Passage& passage);
    void end_passage(Passage& passage);
    void finish_delivery(mail::Deliver& letter, Passage& passage, std::size_t batch_before);
    void retain(const core::MessagePtr& message);
    bool may_retain(const core::Message& message);
    /// Who waited for what this step settled is told, soon.
    void take_upstream_waits(Slot& slot, const core::Effects& effects);
    /// Now, or what must not leave before the commit, and all behind it, after that.
    void send_all(core::SubscriberId id, std::vector<core::Send>& sends);
    void deliver(core::SubscriberId id, const core::Send& send);
    /// Session::on_recorded(mark), after the commit of this turn.
    void tell_when_recorded(core::SubscriberId id, std::uint64_t mark);
    /// Tells sessions what could not be sent. Their next messages may be as large: one after the other and
    /// behind those that are already on their way, never nested.
    void settle_unsendable();
    void note_drop(const Slot& slot, core::DropReason reason);

    // shared.cpp: shared subscriptions
    /// Into the tree or the groups, by the filter's form, and out of them.
    bool put_subscription(core::SubscriberId id, std::string_view filter,
                          const core::SubscriptionOptions& options);
    bool take_subscription(core::SubscriberId id, std::string_view filter);
    void leave_all_groups(core::SubscriberId id);
    void refresh_member(core::SubscriberId id);
    /// One copy for each shared subscription that matches; those for other shards are left in share_orders_.
    void share_out(Passage& passage);
    void place_share(mail::ShareOrder order, Passage& passage);
    bool give_to_member(const core::Share& share, Passage& passage);
    void accept_shares(mail::Deliver& letter, Passage& passage);
    bool any_share_orders() const;
    void send_share_orders(const core::MessagePtr& message, TicketId ticket, const OriginPtr& origin);
    /// Passes on what this shard had nobody for; the ticket (or none) is answered when they all have it.
    void pass_on(const mail::Deliver& letter, const Passage& passage, bool wrote_ledger);
    void on_ticket(std::uint64_t cookie, const TicketAnswer& answer) override;

    // once.cpp
    /// Of a message with an origin: whether it is left out of a repetition.
    static bool has_it(const Slot& slot, const Origin& origin);
    /// Unless that was done before a restart: a newer message may have taken its place.
    void retain_once(const core::MessagePtr& message, const OriginPtr& origin);
    void note_arrival(const Slot& slot, const core::Share& share, core::RowId row, Passage& passage);
    static void restore_arrivals(Slot& slot, const store::RecoveredSession& recovered);
    void on_left_open(const OpenPublish& publish, const TicketAnswer& answer);

    // wills.cpp
    void publish_will(core::SubscriberId id);
    void route_kept_will(const core::MessagePtr& message, core::SessionKey keeper, const OriginPtr& origin);
    void restore_will(const store::RecoveredSession& recovered);

    // handover.cpp: what an ended session leaves to other members
    void end_queue(core::SubscriberId id);
    void hand_on(core::SessionKey from, core::QueueEntry& entry);
    void hand_on_early();
    void restore_leaving(const store::RecoveredSession& recovered);
    void on_leaving_loaded(mail::QueueLoaded& letter);
    void on_handed_on(core::SessionKey from, core::RowId row);
    void go_on_leaving(core::SessionKey key);
    void post_leaving_loads();

    // registry.cpp: sessions come and go
    void arm_retained_sweep(Millis after);  ///< the first shard only
    core::SubscriberId find_client(std::string_view client_id) const;
    core::SubscriberId make_slot(std::string client_id, core::SessionKey key, core::BoundsPtr bounds);
    void discard_session(core::SubscriberId id);
    void admit(Admission admission);
    void enter(Admission admission);
    /// limits.connections_max: false when all places are taken. Who takes over a connection has its place.
    bool take_place(const Admission& admission);
    void turn_away_full(Admission admission);
    void turn_away_without_memory(Admission admission, wire::ReasonCode code);
    void turn_away(Admission admission, const wire::Connack& connack);
    /// Then it is counted and logged: a client that wants to go on with the session of another user.
    bool is_of_another_user(const Slot& slot, const Admission& admission);
    core::SubscriberId session_for(const Admission& admission, bool& session_present);
    void save_session(core::SubscriberId id);
    enum class WillAtOnce : bool { no, yes };  ///< one that is due: now, or by the first timer of the thread
    void schedule_end_of_session(core::SubscriberId id, WillAtOnce at_once);
    Millis time_left(const Slot& slot, std::uint32_t interval_s);  ///< since its connection went
    core::SessionKey next_session_key() { return ++session_key_counter_ * 256 + index_; }
    static core::QueueBounds bounds_of_clients(const SharedParts& parts);
    void stop_all();
    void count_subscription(std::string_view filter, bool is_there);

    // takeover.cpp: those that wait
    /// True when the newcomer was taken and waits.
    bool hold_takeover(Admission& admission);
    void release_takeover(const std::string& client_id);

    const store::ShardIndex index_;
    SharedParts parts_;
    core::BoundsPtr client_bounds_;  ///< of parts_.limits
    boost::asio::io_context context_{1};
    Doorbell doorbell_;
    Interest interest_;
    std::vector<Envelope> letters_;
    std::size_t letters_opened_ = 0;                      ///< of letters_
    bool opening_letters_ = false, mail_posted_ = false;  ///< mail_posted_: take_mail() will be called
    std::vector<Peer> peers_;                             ///< by shard; our own included
    OwnerThread owner_;
    Counters counters_;

    std::deque<Slot> slots_;  ///< a deque: slots never move
    std::vector<core::SubscriberId> free_slots_;
    struct ClientIdOf {
        const std::deque<Slot>& slots;
        std::string_view operator()(core::SubscriberId id) const { return slots[id].client_id; }
    };
    ClientIndex<ClientIdOf> by_client_{ClientIdOf{slots_}};
    std::unordered_map<core::SessionKey, core::SubscriberId> by_key_;
    std::unordered_map<LinkNumber, core::SubscriberId> lanes_;
    core::TopicTree tree_;
    core::SharedGroups groups_;
    std::vector<std::vector<mail::ShareOrder>> share_orders_;  ///< by shard; of the message at hand
    std::vector<core::SharedGroups::GroupId> group_matches_;
    std::unordered_map<std::uint64_t, Errand> errands_;  ///< by the cookies of our own tickets
    std::uint64_t errand_counter_ = 0;
    Handovers handovers_;
    std::vector<core::ExchangePtr> exchanges_over_;  ///< in this turn
    TicketTable tickets_;
    core::SessionKey session_key_counter_ = 0;
    core::RowId row_counter_ = 0, rows_posted_ = 0;  ///< rows_posted_: as it was with the last batch

    // The turn.
    bool stopping_ = false;
    bool lone_turns_ = false;  ///< when last looked, a turn had one handler only
    int turns_since_look_ = 0;
    bool turn_full_ = false;              ///< what is left of some work goes on in the next one
    std::shared_ptr<std::latch> closed_;  ///< waited for since post_close()
    bool now_read_ = false;
    Now now_{};
    store::TurnNumber turn_ = 0, committed_turn_ = 0;  ///< the last one posted to the store; and durable
    std::vector<core::LedgerEntry> batch_;
    bool retained_changed_ = false;  ///< by what is in the batch
    bool any_progress_dirty_ = false;
    std::vector<core::SubscriberId> dirty_progress_;
    std::vector<core::SubscriberId> dirty_links_;
    std::vector<core::SubscriberId> loads_;
    bool loads_due_ = false;  ///< some of them may be posted now
    std::unordered_set<core::SessionKey> loads_under_way_;
    std::vector<core::SubscriberId> oldest_asked_;
    LinkReads link_reads_;
    std::vector<std::vector<Envelope>> outgoing_;  ///< by shard
    std::deque<HeldTicket> held_tickets_;
    std::deque<std::pair<TicketId, wire::ReasonCode>> due_answers_;
    std::deque<Deferred> deferred_;
    std::vector<std::unique_ptr<Link>> graveyard_;
    core::Effects effects_;
    bool step_open_ = false;
    std::deque<std::pair<core::SubscriberId, wire::PacketId>> unsendable_;
    bool settling_unsendable_ = false;
    std::vector<Match> matches_;

    TakeoverDamper damper_;
    std::unordered_map<std::string, std::unique_ptr<HeldTakeover>> held_takeovers_;
    TimerQueue timers_;
    boost::asio::steady_timer timer_;
    MonoTime timer_armed_for_ = MonoTime::max();
    boost::asio::steady_timer lane_timer_, retained_timer_, handover_timer_;
    bool lane_tick_armed_ = false;
    MemoryWatch memory_;
    MonoTime next_relief_{};
    std::vector<HeldReader> held_readers_;
    std::deque<std::pair<core::SubscriberId, std::uint32_t>> retained_put_off_;  ///< with the generation
    boost::asio::steady_timer memory_timer_;
    enum class MemoryTick : std::uint8_t { none, slow, quick };  ///< quick: readers are held
    MemoryTick memory_tick_ = MemoryTick::none;
};

}  // namespace sluice::shard
