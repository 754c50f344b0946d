#pragma once
/// Doorbell: how other threads wake a shard's thread.
///
/// An eventfd instead of boost::asio::post: that one wakes the thread while it holds the queue's lock, which
/// is the first thing the woken thread reaches for, so both sleep once more.
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>

namespace sluice::shard {

class Doorbell {
  public:
    /// `on_ring` is called on the context's thread, once for any number of rings since it was last called.
    /// Throws std::system_error when the system has no descriptors left.
    Doorbell(boost::asio::io_context& context, std::function<void()> on_ring);
    /// Any thread; also before the context runs.
    void ring();

  private:
    void listen();

    boost::asio::posix::stream_descriptor descriptor_;
    std::function<void()> on_ring_;
    std::uint64_t rings_ = 0;
};

}  // namespace sluice::shard
