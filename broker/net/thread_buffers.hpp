#pragma once
/// The buffers that all channels of one thread share, so that an idle connection owns none.
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/bytes.hpp"

namespace sluice::net {

class ThreadBuffers {
  public:
    static constexpr std::size_t read_bytes = 64 * 1024;
    static constexpr std::size_t record_bytes = 16 * 1024;

    /// Those of the calling thread.
    static ThreadBuffers& mine();

    /// Where a busy socket is read into. Valid until the next read on this thread.
    MutableBytes read() { return {read_->data(), read_bytes_now_}; }
    /// From now on no more than so many at once, up to read_bytes.
    void set_read_bytes(std::size_t bytes) { read_bytes_now_ = bytes < read_bytes ? bytes : read_bytes; }
    /// One decrypted TLS record.
    MutableBytes record() { return {record_->data(), record_->size()}; }
    /// What the filters made of it. Only the read path touches it: it is not re-entered from callbacks.
    ByteBuffer plain;
    ByteBuffer reply;   ///< of one filter, on its way down through the filters below it
    ByteBuffer up;      ///< between two filters, towards the application
    ByteBuffer down;    ///< between two filters, towards the wire
    ByteBuffer gather;  ///< small segments brought together before they are encrypted

    /// An empty buffer that probably has capacity already; give it back when it is empty again.
    ByteBuffer borrow();
    void give_back(ByteBuffer&& buffer);

  private:
    ThreadBuffers()
        : read_(std::make_unique<std::array<std::uint8_t, read_bytes>>()),
          record_(std::make_unique<std::array<std::uint8_t, record_bytes>>()) {}
    std::unique_ptr<std::array<std::uint8_t, read_bytes>> read_;
    std::unique_ptr<std::array<std::uint8_t, record_bytes>> record_;
    std::size_t read_bytes_now_ = read_bytes;
    std::vector<ByteBuffer> spare_;
    std::size_t spare_bytes_ = 0;  ///< of them
};

}  // namespace sluice::net
