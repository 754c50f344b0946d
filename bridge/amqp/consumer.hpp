#pragma once
/// Consumer: one row of `[[bridge.down]]`: a queue, and the channel on which it is consumed.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/amqp/connection.hpp"
#include "bridge/amqp/down_queue.hpp"
#include "bridge/backoff.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp {

/// A delivery is acknowledged when the bridge has kept it, or rejected when it cannot use it. When the
/// channel ends, by the server's will or with its connection, all that is unsettled is void and comes again;
/// it is opened again after a pause. One thread. Outlives connections: tokens are never used twice.
class Consumer {
  public:
    /// Of `rows` rows; its channel is number `row` + 1. `tag`: by which operators know it at the server.
    Consumer(DownQueue queue, std::uint32_t row, std::uint32_t rows, std::string tag, std::uint64_t seed);

    /// A new connection, or none any more.
    void reset();
    /// Closes what is to be closed, and consumes when that is due. A lost connection shows in its problem().
    void work(Connection& connection);
    /// When work() has something to do; max() when nothing.
    Steady::time_point wake_at() const;
    /// A frame of its channel. Adds what has come whole to `incoming`.
    void take_frame(const amqp_frame_t& frame, Connection& connection, std::vector<Incoming>& incoming);

    /// Only with a token of this row.
    void settle(const Settled& settled);
    /// Tells the server what was settled.
    void answer(Connection& connection);

    /// Why it does not consume; empty when it does, or was not tried yet.
    const std::string& problem() const { return problem_; }
    /// Whether it has begun to consume, stopped or failed to since the last call.
    bool take_news() { return std::exchange(news_, false); }
    std::size_t unsettled() const { return unsettled_; }

  private:
    enum class State : std::uint8_t {
        closed,
        closing,  ///< the channel stands but is of no use
        consuming,
    };
    /// What became of a delivery, until the server has been told about it and all before it.
    enum class Fate : std::uint8_t { open, kept, rejected, answered };
    /// A delivery on its way: a method, a header, then this many bytes of body.
    struct Arriving {
        Incoming incoming;
        std::uint64_t bytes_left = 0;
        bool has_header = false;
        bool too_large = false;
    };

    Connection::CallResult open(Connection& connection);
    Connection::CallResult make_queue(Connection& connection);
    Connection::CallResult bind_queue(Connection& connection);
    void take_method(const amqp_method_t& method, Connection& connection);
    void take_delivery(const amqp_basic_deliver_t& deliver);
    void finish_delivery(std::vector<Incoming>& incoming);
    void lose(std::string why, State state);
    void complain_of_size(std::uint64_t bytes) const;

    const DownQueue queue_;
    const std::uint32_t row_, rows_;
    const amqp_channel_t channel_;
    const std::string tag_;
    Backoff backoff_;

    State state_ = State::closed;
    std::string problem_;
    bool news_ = false;
    Steady::time_point retry_at_{};  ///< when closed
    std::deque<Fate> deliveries_;    ///< by delivery tag, without gaps
    std::uint64_t first_tag_ = 1;    ///< of deliveries_.front(); each channel counts from 1
    /// Likewise, but counted through all channels. A token is this, times the number of rows, plus the row.
    std::uint64_t first_number_ = 1;
    std::vector<std::uint64_t> settled_numbers_;  ///< since the last answer()
    std::size_t unsettled_ = 0;
    std::optional<Arriving> arriving_;
};

}  // namespace sluice::bridge::amqp
