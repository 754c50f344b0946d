#pragma once
/// The operators' HTTP port.
///
/// Operation: one thread of its own, one request at a time per connection; answers are made from StatsSource,
/// which does not block on shards. Commands to bridges may: they are done one at a time by a second thread,
/// and the others are answered meanwhile.
/// Limits: connections at one time (further ones wait in the backlog until one ends), bytes of a request,
/// time for a request to arrive and for its answer to leave, so that a slow or silent peer frees its place;
/// commands that wait, and for how long, so that they do not take the places of those who only look.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "admin/settings.hpp"
#include "base/result.hpp"
#include "shard/bridge_control.hpp"
#include "shard/stats.hpp"

namespace sluice::admin {

struct ServerLimits {
    std::uint32_t connections_max = 32;
    std::uint32_t header_bytes_max = 8192;
    std::uint32_t body_bytes_max = 128 << 10;            ///< as many ids as a command may have
    std::chrono::milliseconds request_timeout{10'000};   ///< from the first byte awaited to the whole request
    std::uint32_t commands_waiting_max = 8;              ///< behind the running one; further ones: 503
    std::chrono::milliseconds command_wait_max{10'000};  ///< behind others; then 503, and nothing is done
};

class HttpServer {
  public:
    /// `stats` and `control` must outlive stop(); `control` may be null: then there are no commands (501).
    HttpServer(const shard::StatsSource& stats, shard::BridgeControl* control, AdminSettings settings,
               ServerLimits limits = {});
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Listens and starts the thread. The port that it listens on, which the settings may leave open with 0;
    /// or one line why it does not.
    Result<std::uint16_t, std::string> start();
    /// Closes all connections and ends the threads, for good; may be called twice. Waits for the command that
    /// is being done, a few seconds at most; its answer, and the commands behind it, are lost.
    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::admin
