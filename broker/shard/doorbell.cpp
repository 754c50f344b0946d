#include "shard/doorbell.hpp"

#include <sys/eventfd.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <system_error>

namespace sluice::shard {
namespace {

int make_eventfd() {
    const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "a shard's doorbell");
    return descriptor;
}

}  // namespace

Doorbell::Doorbell(boost::asio::io_context& context, std::function<void()> on_ring)
    : descriptor_(context, make_eventfd()), on_ring_(std::move(on_ring)) {
    listen();
}

void Doorbell::ring() {
    // Fails only when the counter is full, and then it has been rung.
    (void)::eventfd_write(descriptor_.native_handle(), 1);
}

void Doorbell::listen() {
    descriptor_.async_read_some(boost::asio::buffer(&rings_, sizeof rings_),
                                [this](const boost::system::error_code& error, std::size_t) {
                                    if (error) return;  // the shard ends
                                    on_ring_();
                                    listen();
                                });
}

}  // namespace sluice::shard
