#pragma once
/// OutputQueue: what a connection still has to send, as segments: small data is copied and grows together,
/// large parts of messages are referenced, never copied.
#include <sys/types.h>

#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "core/message.hpp"

namespace sluice::net {

class OutputQueue {
  public:
    /// Below this a copy is cheaper than a segment of its own.
    static constexpr std::size_t reference_bytes_min = 512;

    OutputQueue() = default;
    OutputQueue(OutputQueue&& other) noexcept { *this = std::move(other); }
    OutputQueue& operator=(OutputQueue&& other) noexcept;
    ~OutputQueue() { clear(); }

    /// A part of a packet.
    struct Part {
        Bytes bytes;
        bool is_kept = false;  ///< it lies inside what `keep` keeps alive
    };
    void append_copy(Bytes bytes) { append_parts({{bytes}}, {}); }
    /// Parts that are copied and follow each other are copied in one step.
    void append_parts(std::initializer_list<Part> parts, const core::MessagePtr& keep);

    bool empty() const { return bytes_ == 0; }
    std::size_t bytes() const { return bytes_; }
    void clear();

    /// One sendmsg over the first segments; bytes taken by the socket, or -1 with errno.
    ssize_t write_to(int fd);
    /// The first up to `bytes_max` bytes in one piece: a view of the first segment when it suffices, else
    /// copied together into `scratch`. To be followed by consume().
    Bytes peek(std::size_t bytes_max, ByteBuffer& scratch) const;
    void consume(std::size_t bytes);

  private:
    struct Segment {
        ByteBuffer copied;      ///< used when keep is empty
        core::MessagePtr keep;  ///< else `view` lies in it
        Bytes view;
        Bytes bytes() const { return keep ? view : Bytes(copied); }
    };
    static bool is_referenced(const Part& part) {
        return part.is_kept && part.bytes.size() >= reference_bytes_min;
    }
    void append_copies(std::span<const Part> parts, std::size_t bytes);
    void push(Segment segment);
    void drop_first();

    std::vector<Segment> segments_;
    std::size_t first_ = 0;         ///< index of the first segment that is not yet sent
    std::size_t first_offset_ = 0;  ///< bytes of it that are
    std::size_t bytes_ = 0;
};

}  // namespace sluice::net
