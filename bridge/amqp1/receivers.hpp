#pragma once
/// Receivers: the links that messages come down by.
#include <proton/delivery.h>
#include <proton/link.h>

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/amqp1/message_down.hpp"
#include "bridge/amqp1/settings.hpp"
#include "bridge/backoff.hpp"
#include "bridge/down_bounds.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::amqp1 {

/// A message is accepted when the bridge has it safe, rejected when it is of no use; what is neither when the
/// link goes, the server sends again. Credit and unsettled messages together never exceed a route's share.
/// All of this is for one connection at a time, and for the connector's thread.
class Receivers {
  public:
    Receivers(std::string bridge_name, std::vector<Amqp1Down> routes, std::uint32_t inflight_max,
              std::uint64_t seed);

    bool any() const { return !sources_.empty(); }
    /// A new connection.
    void start(pn_session_t* session);
    /// The connection is gone, and what is unsettled is void.
    void reset();
    void settle(const std::vector<Settled>& settled);
    /// Opens links whose time has come, takes what there was no room for, and tops up credit.
    void tend();

    void on_link_opened(pn_link_t* link);
    void on_link_closed(pn_link_t* link);
    void on_delivery(pn_delivery_t* delivery);

    std::vector<Incoming>& incoming() { return incoming_; }
    /// Why not all sources are open, as one line. Empty when they are; "connecting" is no problem yet, see
    /// settled_down().
    std::string problem() const;
    /// The server has yet to answer a link.
    bool opening() const;
    /// Each source is open or has a problem.
    bool settled_down() const;
    Steady::time_point wake_at() const;

  private:
    struct Source {
        Amqp1Down settings;
        std::uint32_t route = 0;
        pn_link_t* link = nullptr;  ///< null: to be opened, not before retry_at
        bool opened = false;
        int unsettled = 0;
        std::string problem;  ///< why the server refused it or took it away
        Steady::time_point retry_at{};
        Backoff backoff;
        Source(Amqp1Down its_settings, std::uint32_t its_route, std::uint64_t seed)
            : settings(std::move(its_settings)), route(its_route), backoff(seed) {}
    };
    struct Unsettled {
        pn_delivery_t* delivery;
        Source* source;
        std::size_t bytes;
    };

    void open(Source& source);
    void top_up(Source& source) const;
    bool has_room() const { return unsettled_bytes_ < down_bytes_max; }
    void take_waiting(Source& source);
    void take(Source& source, pn_delivery_t* delivery);
    void reject(Source& source, pn_delivery_t* delivery, const char* condition, const std::string& why);

    const std::string bridge_name_;
    std::vector<Source> sources_;  ///< fixed: links have pointers to them
    MessageDecoder decoder_;
    pn_session_t* session_ = nullptr;
    std::unordered_map<std::uint64_t, Unsettled> unsettled_;  ///< by token
    std::size_t unsettled_bytes_ = 0;
    std::vector<Incoming> incoming_;
    std::string bytes_;
    std::uint64_t next_token_ = 1, next_link_ = 0;
};

}  // namespace sluice::bridge::amqp1
