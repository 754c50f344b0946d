#pragma once
/// Sockets for tests: pairs of connected ones, and a handler that remembers.
#include <utility>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "net/channel.hpp"

namespace sluice::net::test {

using namespace std::chrono_literals;

/// The other end of a channel: a plain blocking descriptor, closed with the object.
class PlainEnd {
  public:
    explicit PlainEnd(int fd = -1) : fd_(fd) {}
    PlainEnd(PlainEnd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    PlainEnd& operator=(PlainEnd&&) = delete;
    ~PlainEnd() { close(); }

    int fd() const { return fd_; }
    void close();
    void shut_writing();
    void write(std::string_view text);
    /// Exactly so many bytes, or fewer when the other side ended.
    std::string read(std::size_t bytes);
    std::string read_to_end();
    /// What is there now.
    std::string read_available();
    void set_receive_buffer(int bytes);

  private:
    int fd_;
};

struct Pair {
    Channel::Socket near;
    PlainEnd far;
};
Pair unix_pair(boost::asio::io_context& context);
Pair tcp_pair(boost::asio::io_context& context);

/// Runs the context until the condition holds; false at the deadline.
bool run_until(boost::asio::io_context& context, const std::function<bool()>& condition,
               std::chrono::milliseconds deadline = 10s);

class Recorder : public ChannelHandler {
  public:
    void on_bytes(Bytes plain) override {
        bytes += as_text(plain);
        ++calls;
        if (when_bytes) when_bytes();
    }
    void on_closed(const std::string& why) override {
        closed.push_back(why);
        if (when_closed) when_closed();
    }
    void on_writable() override {
        ++writable;
        if (when_writable) when_writable();
    }

    std::string bytes;
    int calls = 0, writable = 0;
    std::vector<std::string> closed;
    std::function<void()> when_bytes, when_closed, when_writable;
};

/// Deterministic bytes that do not repeat with a short period.
std::string pattern(std::size_t bytes, unsigned seed = 1);

}  // namespace sluice::net::test
