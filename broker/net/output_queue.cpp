#include "net/output_queue.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.hpp"
#include "base/memory_gauge.hpp"
#include "net/thread_buffers.hpp"

namespace sluice::net {
namespace {
// A copied segment stops growing here, so that sent parts of a long queue can be let go.
constexpr std::size_t copied_bytes_soft_max = 16 * 1024;
constexpr std::size_t iovecs_max = 64;
}  // namespace

OutputQueue& OutputQueue::operator=(OutputQueue&& other) noexcept {
    if (this == &other) return *this;
    clear();
    segments_ = std::exchange(other.segments_, {});
    first_ = std::exchange(other.first_, 0);
    first_offset_ = std::exchange(other.first_offset_, 0);
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
}

void OutputQueue::append_copy(Bytes bytes) {
    if (bytes.empty()) return;
    const bool grow = first_ < segments_.size() && !segments_.back().keep &&
                      segments_.back().copied.size() + bytes.size() <= copied_bytes_soft_max;
    if (!grow) push({ThreadBuffers::mine().borrow(), {}, {}});
    ByteBuffer& copied = segments_.back().copied;
    const std::size_t before = copied.capacity();
    append(copied, bytes);
    memory_gauge::add(static_cast<std::int64_t>(copied.capacity() - before));
    bytes_ += bytes.size();
}

void OutputQueue::append_shared(core::MessagePtr keep, Bytes view) {
    if (view.size() < reference_bytes_min || !keep) return append_copy(view);
    push({{}, std::move(keep), view});
    bytes_ += view.size();
}

void OutputQueue::push(Segment segment) {
    const std::size_t before = table_bytes();
    segments_.push_back(std::move(segment));
    memory_gauge::add(static_cast<std::int64_t>(segments_.back().copied.capacity() + table_bytes() - before));
}

void OutputQueue::clear() {
    while (first_ < segments_.size()) drop_first();
    bytes_ = 0;
    // An idle connection holds no memory for its output.
    memory_gauge::add(-static_cast<std::int64_t>(table_bytes()));
    std::vector<Segment>().swap(segments_);
    first_ = 0;
}

void OutputQueue::drop_first() {
    Segment& segment = segments_[first_];
    memory_gauge::add(-static_cast<std::int64_t>(segment.copied.capacity()));
    ThreadBuffers::mine().give_back(std::move(segment.copied));
    segment.keep = {};
    ++first_;
    first_offset_ = 0;
}

void OutputQueue::consume(std::size_t bytes) {
    CHECK(bytes <= bytes_);
    bytes_ -= bytes;
    while (bytes > 0) {
        const std::size_t left = segments_[first_].bytes().size() - first_offset_;
        if (bytes < left) {
            first_offset_ += bytes;
            break;
        }
        bytes -= left;
        drop_first();
    }
    if (bytes_ == 0) {
        clear();
    } else if (first_ >= 64 && first_ * 2 >= segments_.size()) {
        segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
        if (segments_.capacity() / 4 > segments_.size()) {
            memory_gauge::add(-static_cast<std::int64_t>(table_bytes()));
            segments_.shrink_to_fit();
            memory_gauge::add(static_cast<std::int64_t>(table_bytes()));
        }
    }
}

ssize_t OutputQueue::write_to(int fd) {
    std::array<iovec, iovecs_max> parts;
    std::size_t count = 0;
    for (std::size_t i = first_; i < segments_.size() && count < parts.size(); ++i) {
        const Bytes bytes = segments_[i].bytes().subspan(i == first_ ? first_offset_ : 0);
        parts[count++] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) consume(static_cast<std::size_t>(sent));
    return sent;
}

Bytes OutputQueue::peek(std::size_t bytes_max, ByteBuffer& scratch) const {
    if (bytes_ == 0) return {};
    const std::size_t wanted = std::min(bytes_max, bytes_);
    const Bytes head = segments_[first_].bytes().subspan(first_offset_);
    if (head.size() >= wanted) return head.first(wanted);
    scratch.clear();
    append(scratch, head);
    for (std::size_t i = first_ + 1; scratch.size() < wanted; ++i) {
        const Bytes bytes = segments_[i].bytes();
        append(scratch, bytes.first(std::min(bytes.size(), wanted - scratch.size())));
    }
    return scratch;
}

}  // namespace sluice::net
