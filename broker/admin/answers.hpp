#pragma once
/// What the HTTP port answers, apart from HTTP itself: pure functions of the request line and the statistics.
#include <string>
#include <string_view>

#include "shard/stats.hpp"

namespace sluice::admin {

struct Answer {
    unsigned status = 200;
    std::string_view content_type = "application/json";  ///< a literal
    std::string body;
    bool only_get = false;  ///< 405: tell what is allowed
};

/// `target` is the path, perhaps with a query, which is not looked at.
Answer answer_request(std::string_view method, std::string_view target, const shard::StatsSource& stats);

/// {"error": "..."}; for everything that is not as asked.
Answer make_error(unsigned status, std::string_view what);

/// Whether a `Host` header names this machine itself: a loopback address or localhost, with or without port.
/// A page from elsewhere that lets its own name point to 127.0.0.1 (DNS rebinding) does not.
bool is_local_host(std::string_view host);

}  // namespace sluice::admin
