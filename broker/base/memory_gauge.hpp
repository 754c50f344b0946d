#pragma once
/// memory_gauge: how many bytes the process holds, whoever holds them: sessions, queues, retained messages,
/// mail between threads, batches on their way to the disk, packets that are not yet whole. Any thread.
///
/// Whatever comes from operator new is counted there, so plus and minus always match and
/// nothing is forgotten; what other allocators give (TLS) is counted by whoever asks for it. Each thread
/// counts in a cell of its own, so that the hot path neither locks nor shares a cache line; what is made on
/// one thread and let go on another leaves a plus here and a minus there, and only the sum means something.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

namespace sluice::memory_gauge {

/// `bytes` more are held, or fewer when negative. A plain load and store.
void add(std::int64_t bytes) noexcept;
/// What the calling thread has added so far; what was let go is not taken off. For whoever wants to look at
/// the total after so many more bytes.
std::uint64_t grown_here();
/// The sum over all threads, not of one moment: off by what is under way. Costs one cache line per thread; to
/// be asked some thousand times a second at most.
std::uint64_t total();

// Parts of total() that have bounds of their own. One shared number each: not for every message.

/// What stays as long as a client wants it to, however short memory is: sessions, subscriptions, wills, topic
/// aliases.
std::uint64_t kept();
void add_kept(std::int64_t bytes) noexcept;
/// Retained messages.
std::uint64_t retained();
void add_retained(std::int64_t bytes) noexcept;
/// What has come of packets that are not whole, or not handled yet.
std::uint64_t unfinished();
void add_unfinished(std::int64_t bytes) noexcept;

/// Bytes that somebody answers for: what was added is taken off with it. One thread at a time. `Count`: as
/// many at most as it can say.
template <void (*add_to)(std::int64_t) noexcept, class Count = std::uint64_t>
class Share {
  public:
    Share() = default;
    Share(Share&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Share() { set(0); }
    std::uint64_t bytes() const { return bytes_; }
    void set(std::uint64_t bytes) noexcept {
        bytes = std::min<std::uint64_t>(bytes, std::numeric_limits<Count>::max());
        if (bytes != bytes_) add_to(static_cast<std::int64_t>(bytes) - static_cast<std::int64_t>(bytes_));
        bytes_ = static_cast<Count>(bytes);
    }

  private:
    Count bytes_ = 0;
};

/// Of total(), for memory that does not come from operator new.
using Foreign = Share<add>;
using Kept = Share<add_kept, std::uint32_t>;  ///< each session and each connection has one
using Retained = Share<add_retained>;
using Unfinished = Share<add_unfinished, std::uint32_t>;  ///< likewise

}  // namespace sluice::memory_gauge
