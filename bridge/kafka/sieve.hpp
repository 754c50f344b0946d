#pragma once
/// Sieve: finds the message because of which the cluster refuses a batch, without sending each of it alone.
#include <algorithm>
#include <cstddef>

namespace sluice::bridge::kafka {

/// The cluster refuses a batch as a whole, and most of it may be innocent. Suspects go again in groups, each
/// when nothing else is under way; one that is refused is halved, after one that is taken the next is larger:
/// twice, or half way to what was refused last, since it may be the size of a batch that the cluster does not
/// take. What is refused in a group of its own is to blame. One thread.
class Sieve {
  public:
    /// Nothing is under way, and sending begins.
    void begin_group() {
        if (sent_ > 0 && !was_refused_) grow();
        sent_ = 0;
        was_refused_ = false;
    }
    void sent() { ++sent_; }
    /// Of the group, for suspects.
    bool is_full() const { return sent_ >= size_; }
    /// What is under way is one message.
    bool is_alone() const { return sent_ == 1; }
    /// The group came back for another reason, which says nothing of it: it goes again as it was.
    void fell() { was_refused_ = true; }
    /// So many of the group came back together.
    void refused(std::size_t count) {
        if (count == 0) return;
        was_refused_ = true;
        size_ = std::max<std::size_t>(1, count / 2);
        ceiling_ = count > 1 ? count - 1 : size_max;  // one that was to blame tells nothing about the others
    }

  private:
    static constexpr std::size_t size_max = 1U << 20;

    void grow() {
        const std::size_t more =
            ceiling_ == size_max ? size_ : (ceiling_ - std::min(size_, ceiling_) + 1) / 2;
        size_ = std::min(size_ + more, ceiling_);
    }

    std::size_t size_ = size_max;
    std::size_t ceiling_ = size_max;
    std::size_t sent_ = 0;
    bool was_refused_ = false;
};

}  // namespace sluice::bridge::kafka
