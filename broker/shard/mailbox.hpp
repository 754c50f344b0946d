#pragma once
/// Mailbox: the one inbox of a shard's thread. Senders append under a short lock; one wake per burst.
#include <atomic>
#include <functional>
#include <mutex>
#include <vector>

#include "shard/envelope.hpp"

namespace sluice::shard {

class Mailbox {
  public:
    /// `wake` is called by a sender when the box was empty: it makes the owner call take() soon. Any thread.
    explicit Mailbox(std::function<void()> wake) : wake_(std::move(wake)) {}
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    /// Any thread.
    void post(Envelope envelope) {
        bool was_empty = false;
        {
            const std::lock_guard lock(mutex_);
            was_empty = waiting_.empty();
            waiting_.push_back(std::move(envelope));
            depth_.store(waiting_.size(), std::memory_order_relaxed);
        }
        if (was_empty) wake_();
    }
    /// Any thread. The same for a turn's worth; empties `envelopes`.
    void post_all(std::vector<Envelope>& envelopes) {
        if (envelopes.empty()) return;
        bool was_empty = false;
        {
            const std::lock_guard lock(mutex_);
            was_empty = waiting_.empty();
            for (Envelope& envelope : envelopes) waiting_.push_back(std::move(envelope));
            depth_.store(waiting_.size(), std::memory_order_relaxed);
        }
        envelopes.clear();
        // What a burst needed is not kept for the next one.
        if (envelopes.capacity() > kept_max) envelopes.shrink_to_fit();
        if (was_empty) wake_();
    }
    /// The owner: everything there is, in order; `into` must be empty, its capacity is used again.
    void take(std::vector<Envelope>& into) {
        const std::lock_guard lock(mutex_);
        std::swap(into, waiting_);
        depth_.store(0, std::memory_order_relaxed);
    }
    /// Any thread. Above its high mark senders let QoS 0 go (Shard::mail_high_mark).
    std::size_t depth() const { return depth_.load(std::memory_order_relaxed); }

  private:
    static constexpr std::size_t kept_max = 1024;

    std::function<void()> wake_;
    std::mutex mutex_;
    std::vector<Envelope> waiting_;
    std::atomic<std::size_t> depth_{0};
};

}  // namespace sluice::shard
