#include "listener/listening_socket.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstring>
#include <tuple>

namespace sluice::listener {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// As many as the kernel lets wait (net.core.somaxconn). Behind a full queue the kernel drops the first packet
// of a connection, and the client tries again only after a second.
constexpr int backlog = 65535;

// A client without a keep-alive whose link is cut is missed after 5 minutes of silence and 4 questions that
// nobody answers: 7 minutes in all, where the kernel would take more than two hours. One question in 5
// minutes costs a metered link less than a ping.
constexpr int idle_before_asking_s = 300, between_questions_s = 30, questions_max = 4;

/// What each accepted connection inherits: small packets leave at once, and a peer that is gone is missed.
error_code set_for_connections(int fd) {
    const std::tuple<int, int, int> options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                                                 {SOL_SOCKET, SO_KEEPALIVE, 1},
                                                 {IPPROTO_TCP, TCP_KEEPIDLE, idle_before_asking_s},
                                                 {IPPROTO_TCP, TCP_KEEPINTVL, between_questions_s},
                                                 {IPPROTO_TCP, TCP_KEEPCNT, questions_max}};
    for (const auto& [level, name, value] : options)
        if (::setsockopt(fd, level, name, &value, sizeof(value)) != 0)
            return {errno, boost::system::system_category()};
    return {};
}

std::string text_of_errno() {
    return std::strerror(errno);
}

/// Whether a process answers at this socket; false: it was left behind.
bool is_served(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    const bool served = result == 0 || errno == EAGAIN;  // EAGAIN: so many wait that it takes no more
    ::close(fd);
    return served;
}

}  // namespace

Result<void, std::string> ListeningSocket::open() {
    if (settings_.transport == Transport::unix_socket) {
        if (auto bound = bind_unix(); !bound) return bound;
    } else if (const error_code error = bind_tcp()) {
        return Err{error.message()};
    }
    error_code error;
    acceptor_.listen(backlog, error);
    if (error) return Err{error.message()};
    return {};
}

void ListeningSocket::close() {
    error_code ignored;
    acceptor_.close(ignored);
    struct stat now {};
    if (file_ && ::lstat(settings_.path.c_str(), &now) == 0 && now.st_dev == file_->st_dev &&
        now.st_ino == file_->st_ino)
        ::unlink(settings_.path.c_str());
    file_.reset();
}

std::string ListeningSocket::where() const {
    if (settings_.transport == Transport::unix_socket) return settings_.path;
    const std::string address = settings_.address.empty() ? "*" : settings_.address;
    return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port_)
                                                  : fmt::format("[{}]:{}", address, port_);
}

boost::system::error_code ListeningSocket::bind_tcp() {
    port_ = settings_.port;
    error_code error;
    if (!settings_.address.empty()) {
        const auto address = asio::ip::make_address(settings_.address, error);
        return error ? error : bind_to({address, settings_.port}, false);
    }
    // Every address: one socket for IPv6 and IPv4, or IPv4 alone where the kernel has no IPv6.
    error = bind_to({asio::ip::address_v6::any(), settings_.port}, true);
    return error == asio::error::address_family_not_supported
               ? bind_to({asio::ip::address_v4::any(), settings_.port}, false)
               : error;
}

boost::system::error_code ListeningSocket::bind_to(const tcp::endpoint& endpoint, bool both_families) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(!both_families), error);
    if (!error) error = set_for_connections(acceptor_.native_handle());
    if (!error) acceptor_.bind(endpoint, error);
    if (error) {
        error_code ignored;
        acceptor_.close(ignored);
        return error;
    }
    tcp::endpoint bound;
    const Acceptor::endpoint_type local = acceptor_.local_endpoint(error);
    if (error) return error;
    std::memcpy(bound.data(), local.data(), std::min(local.size(), bound.capacity()));
    port_ = bound.port();
    return error;
}

Result<void, std::string> ListeningSocket::bind_unix() {
    const std::string& path = settings_.path;
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) return Err<std::string>{"there is a file that is no socket"};
        if (is_served(path)) return Err<std::string>{"another process listens there"};
        ::unlink(path.c_str());  // left by a process that was killed
    }
    error_code error;
    const asio::local::stream_protocol::endpoint endpoint(path);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (error) return Err{error.message()};
    // Nobody can connect before listen(), so the umask's idea of the mode never counted.
    if (::chmod(path.c_str(), *parse_mode(settings_.mode)) != 0 || ::lstat(path.c_str(), &status) != 0)
        return Err{text_of_errno()};
    file_ = status;
    return {};
}

}  // namespace sluice::listener
