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
    std::string_view allow = {};  ///< of 405: the methods that there are, a literal
};

/// `target` is the path, perhaps with a query, which is not looked at.
Answer answer_request(std::string_view method, std::string_view target, const shard::StatsSource& stats);

/// {"error": "..."}; for everything that is not as asked.
Answer make_error(unsigned status, std::string_view what);
/// 405, with what is allowed there: a literal.
Answer make_not_allowed(std::string_view allow);

/// Whether a `Host` header names this machine itself: a loopback address or localhost, with or without port.
/// A page from elsewhere that lets its own name point to 127.0.0.1 (DNS rebinding) does not.
bool is_local_host(std::string_view host);
/// Whether an `Origin` header is this port itself, asked by its address or as localhost. Another name may be
/// one of DNS rebinding, even where it is the name in `host`.
bool is_own_origin(std::string_view origin, std::string_view host);

}  // namespace sluice::admin
