#pragma once
/// The operators' HTTP port.
///
/// Operation: one thread of its own, one request at a time per connection; answers are made from StatsSource,
/// which does not block on shards.
/// Limits: connections at one time (further ones wait in the backlog until one ends), bytes of a request,
/// time for a request to arrive and for its answer to leave, so that a slow or silent peer frees its place.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "admin/settings.hpp"
#include "base/result.hpp"
#include "shard/stats.hpp"

namespace sluice::admin {

struct ServerLimits {
    std::uint32_t connections_max = 32;
    std::uint32_t header_bytes_max = 8192;
    std::uint32_t body_bytes_max = 4096;                ///< no request needs one; it is read and forgotten
    std::chrono::milliseconds request_timeout{10'000};  ///< from the first byte awaited to the whole request
};

class HttpServer {
  public:
    /// `stats` must outlive stop().
    HttpServer(const shard::StatsSource& stats, AdminSettings settings, ServerLimits limits = {});
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    /// Listens and starts the thread. The port that it listens on, which the settings may leave open with 0;
    /// or one line why it does not.
    Result<std::uint16_t, std::string> start();
    /// Closes all connections and ends the thread, for good; may be called twice.
    void stop();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::admin
