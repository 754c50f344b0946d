#pragma once
/// Post: all that other threads may ask of a shard, as letters to it. Any thread.
#include <functional>
#include <latch>
#include <memory>
#include <utility>
#include <vector>

#include "shard/mailbox.hpp"

namespace sluice::shard {

class Post : public Inlet {
  public:
    /// `wake`: as Mailbox.
    explicit Post(std::function<void()> wake) : mailbox_(std::move(wake)) {}

    Mailbox& mailbox() { return mailbox_; }

    // Inlet
    void post_admission(Admission admission) override {
        mailbox_.post(mail::Admit{std::make_unique<Admission>(std::move(admission))});
    }
    void post_link(LinkSpec spec) override {
        mailbox_.post(mail::AddLink{std::make_unique<LinkSpec>(std::move(spec))});
    }
    void post_note(LinkNumber number, LinkNote note) override {
        mailbox_.post(mail::Note{number, std::move(note)});
    }
    void post_remove_link(LinkNumber number) override { mailbox_.post(mail::RemoveLink{number}); }
    void post_publish(core::MessagePtr message) override { mailbox_.post(mail::Publish{std::move(message)}); }
    void post_brought(std::shared_ptr<BroughtSink> sink, std::vector<BroughtMessage> messages) override {
        mailbox_.post(mail::Brought{std::move(sink), std::move(messages)});
    }
    void post_link_sessions(LinkSessionErrand errand) override {
        mailbox_.post(mail::LinkSessions{std::make_unique<LinkSessionErrand>(std::move(errand))});
    }

    /// Ends all connections; counts `done` down when their wills are on their way to the other shards, which
    /// must still run then.
    void post_close(std::shared_ptr<std::latch> done) { mailbox_.post(mail::Close{std::move(done)}); }
    /// Ends all connections, leaves what must be remembered with the store, makes Shard::run() return.
    void post_stop() { mailbox_.post(mail::Stop{}); }
    void post_reload(std::shared_ptr<auth::Authenticator> authenticator,
                     std::shared_ptr<const auth::Authorizer> authorizer, const Limits& limits) {
        mailbox_.post(mail::Reload{std::move(authenticator), std::move(authorizer),
                                   std::make_unique<const Limits>(limits)});
    }
    /// Asks for a sign of life, which Counters::pings gives.
    void post_ping() { mailbox_.post(mail::Ping{}); }

    // The store's answers: see store::StoreEvents.
    void post_committed(store::TurnNumber turn) { mailbox_.post(mail::Committed{turn}); }
    void post_queue_loaded(core::SessionKey session, std::vector<core::QueueEntry> entries, bool exhausted) {
        mailbox_.post(mail::QueueLoaded{session, std::move(entries), exhausted});
    }
    void post_oldest_found(core::SessionKey session, std::vector<core::StoredRow> rows, bool exhausted) {
        mailbox_.post(mail::OldestFound{session, std::move(rows), exhausted});
    }

  private:
    Mailbox mailbox_;
};

}  // namespace sluice::shard
