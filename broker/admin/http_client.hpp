#pragma once
/// One question, or command, to the HTTP port of a broker: what `sluicectl` is made of.
#include <chrono>
#include <string>

#include "base/result.hpp"

namespace sluice::admin {

struct HttpReply {
    unsigned status = 0;
    std::string content_type;
    std::string body;
};

/// GET `path` of the broker at `url` ("http://127.0.0.1:9883"; no other scheme). Waits at most `timeout`. The
/// error is the reason only, without the address: "Connection refused".
Result<HttpReply, std::string> http_get(const std::string& url, const std::string& path,
                                        std::chrono::milliseconds timeout = std::chrono::seconds(10));
/// POST of a JSON `body`, perhaps empty, marked with `X-Sluice-Request: 1`. When no answer comes it is not
/// known whether the command was carried out.
Result<HttpReply, std::string> http_post(const std::string& url, const std::string& path,
                                         const std::string& body,
                                         std::chrono::milliseconds timeout = std::chrono::seconds(30));

}  // namespace sluice::admin
