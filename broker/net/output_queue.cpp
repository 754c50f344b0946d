#include "net/output_queue.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "net/thread_buffers.hpp"

namespace sluice::net {
namespace {
// A copied segment stops growing here, so that sent parts of a long queue can be let go.
constexpr std::size_t copied_bytes_soft_max = 16 * 1024;
constexpr std::size_t copied_bytes_first = 256;
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

void OutputQueue::append_parts(std::initializer_list<Part> parts, const core::MessagePtr& keep) {
    std::span<const Part> rest(parts.begin(), parts.size());
    while (!rest.empty()) {
        std::size_t copies = 0, bytes = 0;
        while (copies < rest.size() && !is_referenced(rest[copies])) bytes += rest[copies++].bytes.size();
        if (bytes > 0) append_copies(rest.first(copies), bytes);
        if (copies == rest.size()) return;
        push({{}, keep, rest[copies].bytes});
        bytes_ += rest[copies].bytes.size();
        rest = rest.subspan(copies + 1);
    }
}

void OutputQueue::append_copies(std::span<const Part> parts, std::size_t bytes) {
    const bool grow = first_ < segments_.size() && !segments_.back().keep &&
                      segments_.back().copied.size() + bytes <= copied_bytes_soft_max;
    if (!grow) push({ThreadBuffers::mine().borrow(), {}, {}});
    ByteBuffer& copied = segments_.back().copied;
    // A turn's acknowledgements of four bytes each would else double it many times.
    if (copied.capacity() == 0) copied.reserve(std::max(bytes, copied_bytes_first));
    std::size_t at = copied.size();
    copied.resize(at + bytes);
    for (const Part& part : parts) {
        if (part.bytes.empty()) continue;
        std::memcpy(copied.data() + at, part.bytes.data(), part.bytes.size());
        at += part.bytes.size();
    }
    bytes_ += bytes;
}

void OutputQueue::push(Segment segment) {
    segments_.push_back(std::move(segment));
}

void OutputQueue::clear() {
    while (first_ < segments_.size()) drop_first();
    bytes_ = 0;
    // An idle connection holds no memory for its output.
    std::vector<Segment>().swap(segments_);
    first_ = 0;
}

void OutputQueue::drop_first() {
    Segment& segment = segments_[first_];
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
        if (segments_.capacity() / 4 > segments_.size()) segments_.shrink_to_fit();
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
