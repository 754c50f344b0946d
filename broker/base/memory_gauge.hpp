#pragma once
/// memory_gauge: how many bytes of messages the process holds, whoever holds them: queues, retained
/// messages, mail between threads, output that a client has not yet taken, packets that are not yet whole.
/// Any thread.
///
/// Each thread counts in a cell of its own, so that the hot path neither locks nor shares a cache line; a
/// message that is made on one thread and let go on another leaves a plus here and a minus there, and only
/// the sum means something.
#include <cstdint>

namespace sluice::memory_gauge {

/// `bytes` more are held, or fewer when negative. A plain load and store.
void add(std::int64_t bytes);
/// What the calling thread has added so far; what was let go is not taken off. For whoever wants to look at
/// the total after so many more bytes.
std::uint64_t grown_here();
/// The sum over all threads, not of one moment: off by what is under way. Costs a lock and one cache line
/// per thread; to be asked some hundred times a second at most.
std::uint64_t total();

}  // namespace sluice::memory_gauge
