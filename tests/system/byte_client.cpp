#include "tests/system/byte_client.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "wire/encode.hpp"

namespace sluice::test {

ByteClient::ByteClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket_ >= 0 && ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        ::close(std::exchange(socket_, -1));
}

ByteClient ByteClient::over_ipv6(std::uint16_t port) {
    ByteClient client;
    client.socket_ = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = in6addr_loopback;
    if (client.socket_ >= 0 &&
        ::connect(client.socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        ::close(std::exchange(client.socket_, -1));
    return client;
}

ByteClient& ByteClient::operator=(ByteClient&& other) noexcept {
    std::swap(socket_, other.socket_);
    return *this;
}

ByteClient::~ByteClient() {
    if (socket_ >= 0) ::close(socket_);
}

void ByteClient::send(std::string_view bytes) {
    (void)!::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

std::string ByteClient::read(std::size_t bytes) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::string out;
    while (out.size() < bytes) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd look{socket_, POLLIN, 0};
        if (left.count() <= 0 || ::poll(&look, 1, static_cast<int>(left.count())) <= 0) break;
        char buffer[4096];
        const ssize_t n = ::recv(socket_, buffer, std::min(bytes - out.size(), sizeof buffer), 0);
        if (n <= 0) break;
        out.append(buffer, static_cast<std::size_t>(n));
    }
    return out;
}

std::string ByteClient::read_through(std::string_view end) {
    std::string out;
    while (out.find(end) == std::string::npos) {
        const std::string byte = read(1);
        if (byte.empty()) break;
        out += byte;
    }
    return out;
}

bool ByteClient::closed_by_peer(std::string* rest) {
    for (;;) {
        pollfd look{socket_, POLLIN, 0};
        if (::poll(&look, 1, static_cast<int>(patience.count())) <= 0) return false;
        char buffer[4096];
        const ssize_t n = ::recv(socket_, buffer, sizeof buffer, 0);
        if (n <= 0) return true;
        if (rest) rest->append(buffer, static_cast<std::size_t>(n));
    }
}

std::string connect_packet(const std::string& client_id, const std::string& user,
                           const std::string& password) {
    wire::Connect connect;
    connect.client_id = client_id;
    connect.clean_start = true;
    if (!user.empty()) connect.user_name = user;
    if (!password.empty()) connect.password = as_bytes(password);
    ByteBuffer out;
    wire::encode_connect(out, connect);
    return std::string(as_text(out));
}

bool is_let_in(ByteClient& client) {
    const std::string head = client.read(4);
    return head.size() == 4 && head[0] == 0x20 && head[3] == 0;
}

}  // namespace sluice::test
