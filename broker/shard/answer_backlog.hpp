#pragma once
/// AnswerBacklog: how much of what waits for a socket are answers to the client's own packets. They lie
/// between messages in one queue, and only what was queued and what is left is known.
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace sluice::shard {

/// Bytes everywhere; `unsent` is what the channel has not yet got rid of. Never too few answers; too many
/// when messages stand between them: some that have left are counted until all that was queued with them has.
class AnswerBacklog {
  public:
    void queued_message(std::size_t bytes) { queued_ += bytes; }
    void queued_answer(std::size_t bytes) {
        queued_ += bytes;
        later_ += bytes;
    }
    /// Answers among what is unsent.
    std::size_t answers(std::size_t unsent) {
        if (taken(unsent) >= mark_) {
            earlier_ = later_;
            later_ = 0;
            mark_ = queued_;
        }
        if (unsent == 0) earlier_ = 0;
        return std::min(earlier_ + later_, unsent);
    }
    /// All that the socket has ever taken; with a filter (TLS, WebSocket) less by what that has added to
    /// `unsent`.
    std::uint64_t taken(std::size_t unsent) const { return queued_ > unsent ? queued_ - unsent : 0; }

  private:
    std::uint64_t queued_ = 0;
    std::uint64_t mark_ = 0;   ///< of queued_
    std::size_t earlier_ = 0;  ///< answers before the mark
    std::size_t later_ = 0;    ///< answers behind it
};

}  // namespace sluice::shard
