#include "net/thread_buffers.hpp"

#include <utility>

namespace sluice::net {
namespace {
// Enough for a turn's worth of dirty links; more would be memory that a burst once needed.
constexpr std::size_t spare_max = 32;
constexpr std::size_t spare_bytes_max = 512 * 1024;
}  // namespace

ThreadBuffers& ThreadBuffers::mine() {
    thread_local ThreadBuffers buffers;
    return buffers;
}

ByteBuffer ThreadBuffers::borrow() {
    if (spare_.empty()) return {};
    ByteBuffer buffer = std::move(spare_.back());
    spare_.pop_back();
    spare_bytes_ -= buffer.capacity();
    return buffer;
}

void ThreadBuffers::give_back(ByteBuffer&& buffer) {
    ByteBuffer mine = std::move(buffer);
    buffer = {};
    if (mine.capacity() == 0 || spare_bytes_ + mine.capacity() > spare_bytes_max ||
        spare_.size() >= spare_max)
        return;
    mine.clear();
    spare_bytes_ += mine.capacity();
    spare_.push_back(std::move(mine));
}

}  // namespace sluice::net
