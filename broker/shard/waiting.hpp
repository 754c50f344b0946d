#pragma once
/// What a shard keeps of those who wait, and of matches.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "core/subscription.hpp"
#include "shard/inlet.hpp"
#include "shard/ticket_table.hpp"
#include "store/store.hpp"

namespace sluice::shard {

struct Match {
    core::SubscriberId id;
    core::SubscriptionOptions options;
};
/// A client that is not read while memory is short.
struct HeldReader {
    core::SubscriberId id;
    std::uint32_t generation;
    MonoTime since;
    bool unfinished;  ///< in the middle of a packet: until there is room for the rest, or it is given up
};
/// It waits for this commit.
struct HeldTicket {
    store::TurnNumber turn;
    TicketId ticket;
};
/// Runs after this commit.
struct Deferred {
    store::TurnNumber turn;
    std::function<void()> run;
};
/// A client that has to wait for its client id.
struct HeldTakeover {
    HeldTakeover(boost::asio::io_context& context, Admission newcomer)
        : admission(std::move(newcomer)), timer(context) {}
    Admission admission;
    boost::asio::steady_timer timer;
};

}  // namespace sluice::shard
