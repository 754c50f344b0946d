#pragma once
/// BridgeControl: what operators may do to bridges, beyond looking at their statistics.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace sluice::shard {

/// A message that an upstream has refused for good.
struct DeadLetter {
    std::uint64_t id = 0;  ///< unique in the broker, rises with the time of the refusal within a shard
    std::string bridge;
    std::string route;   ///< the route's name
    std::string reason;  ///< as the upstream, or the mapping, said it
    WallTime refused{};
    WallTime received{};  ///< when the broker took the message in
    std::string topic, client_id, user_name;
    std::uint8_t qos = 0;
    bool retain = false;
    std::size_t payload_bytes = 0;
    // Of a single one only:
    std::string payload;                                          ///< any bytes
    std::vector<std::pair<std::string, std::string>> properties;  ///< of the MQTT 5 kind, by their names
};

/// The backlog of a route, or of a whole bridge, that the settings do not have any more. It is kept until an
/// operator gives it up, or the route comes back.
struct LeftoverSpool {
    std::string bridge, route;
    std::size_t messages = 0, bytes = 0;
};

/// Any thread but those of shards and connectors: calls wait for the shards, a few seconds at most.
class BridgeControl {
  public:
    enum class Failure : std::uint8_t {
        not_found,  ///< no such bridge, route or id
        conflict,   ///< not in this state: it is in use, or is stopping
        timed_out,  ///< a shard does not answer; whether it was done is not known
    };
    struct Error {
        Failure failure = Failure::not_found;
        std::string text;  ///< one line for the operator
    };
    template <class T>
    using Done = Result<T, Error>;

    virtual ~BridgeControl() = default;
    /// Nothing more is sent up or taken down until resume(), or a restart; what comes waits in the spool.
    virtual Done<void> pause(const std::string& bridge) = 0;
    virtual Done<void> resume(const std::string& bridge) = 0;
    /// In the order of their ids, those behind `after`.
    virtual Done<std::vector<DeadLetter>> dead_letters(const std::string& bridge, std::uint64_t after,
                                                       std::size_t count_max) = 0;
    /// With payload and properties.
    virtual Done<DeadLetter> dead_letter(const std::string& bridge, std::uint64_t id) = 0;
    /// Back into the spool of its route, behind what waits there. No ids: all. How many it were.
    virtual Done<std::size_t> retry_dead(const std::string& bridge, std::vector<std::uint64_t> ids) = 0;
    virtual Done<std::size_t> drop_dead(const std::string& bridge, std::vector<std::uint64_t> ids) = 0;
    virtual Done<std::vector<LeftoverSpool>> leftovers() = 0;
    /// Gives up the backlog of a removed bridge (`route` empty) or route. How many messages it were.
    virtual Done<std::size_t> forget(const std::string& bridge, const std::string& route) = 0;
};

}  // namespace sluice::shard
