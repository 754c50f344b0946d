#include "admin/http_client.hpp"

#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <string_view>

namespace sluice::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t body_bytes_max = 1 << 30;  // a dead letter of the largest packet, as base64 and text

struct Authority {
    std::string host;  ///< without brackets
    std::string port = "80";
    std::string text;  ///< as it stands in the URL, for the Host header
};

Result<Authority, std::string> parse_url(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    const std::string expected = "expected an address such as http://127.0.0.1:9883";
    if (!url.starts_with(scheme)) return Err{expected};
    url.remove_prefix(scheme.size());
    if (url.ends_with('/')) url.remove_suffix(1);
    if (url.find_first_of("/?#@ \r\n") != std::string_view::npos) return Err{expected};
    Authority out;
    out.text = url;
    const bool bracket = url.starts_with('[');
    const std::size_t host_end = bracket ? url.find(']') : url.find(':');
    out.host = url.substr(bracket ? 1 : 0, bracket ? host_end - 1 : host_end);
    if (out.host.empty() || (bracket && host_end == std::string_view::npos)) return Err{expected};
    std::string_view rest =
        host_end == std::string_view::npos ? "" : url.substr(host_end + (bracket ? 1 : 0));
    if (rest.empty()) return out;
    rest.remove_prefix(1);
    if (rest.empty() || rest.find_first_not_of("0123456789") != std::string_view::npos) return Err{expected};
    out.port = rest;
    return out;
}

/// The steps of one request, each begun by the one before; `error` is what ended them.
struct Exchange {
    asio::io_context io{1};
    beast::tcp_stream stream{io};
    http::request<http::string_body> request;
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    error_code error;
    bool written = false;  ///< the request: the peer may have acted on it

    void run(const tcp::resolver::results_type& endpoints, std::chrono::milliseconds timeout) {
        parser.body_limit(body_bytes_max);
        stream.expires_after(timeout);
        stream.async_connect(endpoints,
                             [this](error_code failed, const tcp::endpoint&) { on_connect(failed); });
        io.run();
    }
    void on_connect(error_code failed) {
        if ((error = failed)) return;
        http::async_write(stream, request, [this](error_code ended, std::size_t) {
            if ((error = ended)) return;
            written = true;
            http::async_read(stream, buffer, parser, [this](error_code read, std::size_t) { error = read; });
        });
    }
};

std::string describe(error_code error) {
    if (error == beast::error::timeout) return "no answer in time";
    if (error == http::error::end_of_stream) return "closed without an answer";
    return error.message();
}

Result<HttpReply, std::string> ask(const std::string& url, http::request<http::string_body> request,
                                   std::chrono::milliseconds timeout) {
    const auto authority = parse_url(url);
    if (!authority) return Err{authority.error()};
    Exchange exchange;
    error_code failed;
    tcp::resolver resolver(exchange.io);
    const auto endpoints = resolver.resolve(authority->host, authority->port, failed);
    if (failed) return Err{failed.message()};
    exchange.request = std::move(request);
    exchange.request.set(http::field::host, authority->text);
    exchange.request.keep_alive(false);
    exchange.run(endpoints, timeout);
    if (exchange.error) {
        const bool unknown = exchange.written && exchange.request.method() == http::verb::post;
        return Err{describe(exchange.error) + (unknown ? "; whether it was done is not known" : "")};
    }
    const auto& response = exchange.parser.get();
    HttpReply reply;
    reply.status = response.result_int();
    reply.content_type = std::string(response[http::field::content_type]);
    reply.body = response.body();
    return reply;
}

}  // namespace

Result<HttpReply, std::string> http_get(const std::string& url, const std::string& path,
                                        std::chrono::milliseconds timeout) {
    return ask(url, {http::verb::get, path, 11}, timeout);
}

Result<HttpReply, std::string> http_post(const std::string& url, const std::string& path,
                                         const std::string& body, std::chrono::milliseconds timeout) {
    http::request<http::string_body> request{http::verb::post, path, 11, body};
    request.set("X-Sluice-Request", "1");
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.prepare_payload();
    return ask(url, std::move(request), timeout);
}

}  // namespace sluice::admin
