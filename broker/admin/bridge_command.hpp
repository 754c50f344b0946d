#pragma once
/// What operators do to bridges through the HTTP port: a request becomes a command, and the command an
/// answer.
///
/// A web page in an operator's browser must not be able to give a command. It could send a POST to this
/// machine, but not with the header `X-Sluice-Request: 1`: for that a browser first asks for permission (CORS
/// preflight), and nobody here gives it. An `Origin` that is not this port itself is refused as well.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "admin/answers.hpp"
#include "base/result.hpp"
#include "shard/bridge_control.hpp"

namespace sluice::admin {

struct CommandRequest {
    std::string_view method, target, body;
    std::string_view mark;                   ///< of `X-Sluice-Request`
    std::string_view host;                   ///< of `Host`
    std::optional<std::string_view> origin;  ///< of `Origin`
};

struct BridgeCommand {
    enum class Kind : std::uint8_t {
        pause,
        resume,
        list_dead,
        show_dead,
        retry_dead,
        drop_dead,
        leftovers,
        forget,
    };
    static constexpr std::size_t count_default = 100, count_max_max = 1000, ids_max = 4096;

    Kind kind = Kind::leftovers;
    std::string bridge;
    std::vector<std::uint64_t> ids;  ///< of retry and drop, in order, each once; empty: all
    std::uint64_t id = 0;            ///< of show
    std::uint64_t after = 0;         ///< of list
    std::size_t count_max = count_default;
    std::string route;  ///< of forget; empty: all
};

/// Nothing when the path is none of commands. The error is the answer to a request that is none.
std::optional<Result<BridgeCommand, Answer>> read_command(const CommandRequest& request);

/// Does it: waits for the shards, a few seconds at most. Any thread but those of shards and connectors.
Answer run_command(const BridgeCommand& command, shard::BridgeControl& control);

/// For people: with NAME and ID in the places of names and ids.
std::vector<std::string_view> command_paths();

}  // namespace sluice::admin
