#include "bystanders.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace sluice::test {
namespace {

constexpr int answers_per_round = 3;  // PUBACK, the message itself, PINGRESP

void allow_descriptors(int count) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto wanted = static_cast<rlim_t>(count) + 200;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = std::min(limit.rlim_max, wanted);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::string topic_of(int number) {
    return "bystander/" + std::to_string(number);
}

}  // namespace

Bystanders::Bystanders(std::uint16_t port, int count) : clients_(static_cast<std::size_t>(count)) {
    allow_descriptors(count);
    for (std::size_t i = 0; i < clients_.size(); ++i) {
        clients_[i].number = static_cast<int>(i);
        clients_[i].level = i % 2 == 0 ? 5 : 4;
        connect(clients_[i], port);
    }
    thread_ = std::thread([this] { run(); });
}

Bystanders::~Bystanders() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    for (const Client& client : clients_) {
        if (client.fd >= 0) ::close(client.fd);
    }
}

void Bystanders::wait_until_all_are_there() {
    wait_for_rounds(1);
}

void Bystanders::connect(Client& client, std::uint16_t port) {
    client.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (client.fd < 0 ||
        ::connect(client.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        notice(client, "cannot connect");
    const int on = 1;
    ::setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    client.wanted = 2;  // CONNACK and SUBACK
    client.begun = Clock::now();
    send(client,
         {{"connect", {{"id", "bystander-" + std::to_string(client.number)}, {"level", client.level}}}});
    send(client,
         {{"subscribe", {{"id", 1}, {"filters", Json::array({Json::array({topic_of(client.number), 1})})}}}});
}

void Bystanders::send(const Client& client, const Json& packet) {
    const ByteBuffer bytes = encode_packet(client.level, packet);
    // A few dozen bytes always fit into the buffer of a connection that is read.
    if (::send(client.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
        notice(client, "cannot send");
}

void Bystanders::notice(const Client& client, const std::string& what) {
    throw Mismatch("bystander " + std::to_string(client.number) + ": " + what);
}

void Bystanders::begin_round(Client& client) {
    client.begun = Clock::now();
    client.next = client.begun + pause;
    client.wanted = answers_per_round;
    client.packet_id = static_cast<std::uint16_t>(client.packet_id % 65535 + 1);
    send(client, {{"publish",
                   {{"topic", topic_of(client.number)},
                    {"qos", 1},
                    {"id", client.packet_id},
                    {"payload", std::to_string(client.rounds)}}}});
    send(client, {{"pingreq", Json::object()}});
}

void Bystanders::take(Client& client, const Json& packet) {
    const std::string name = packet.begin().key();
    const Json& p = packet.begin().value();
    const bool first_round = client.rounds == 0 && client.packet_id == 0;
    bool good = client.wanted > 0;
    if (first_round) {
        good &= name == "suback" ? p.at("codes") == Json::array({1}) : name == "connack" && p.at("code") == 0;
    } else if (name == "puback") {
        good &= p.at("id") == client.packet_id && p.at("code") == 0;
    } else if (name == "publish") {
        good &= p.at("topic") == topic_of(client.number) &&
                p.at("payload") == std::to_string(client.rounds) && p.at("dup") == 0 && p.at("qos") == 1;
        send(client, {{"puback", {{"id", p.at("id")}}}});
    } else {
        good &= name == "pingresp";
    }
    if (!good) notice(client, "got " + packet.dump());
    if (--client.wanted > 0 || first_round) return;
    ++client.rounds;
    ++rounds_;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - client.begun);
    slowest_ = std::max(slowest_, took);
}

void Bystanders::read(Client& client) {
    std::uint8_t block[4096];
    const ssize_t count = ::recv(client.fd, block, sizeof block, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) notice(client, "was disconnected");
    append(client.received, Bytes(block, static_cast<std::size_t>(count)));
    std::size_t size = 0;
    while (const auto packet = decode_packet(client.level, client.received, size)) {
        client.received.erase(client.received.begin(),
                              client.received.begin() + static_cast<std::ptrdiff_t>(size));
        take(client, *packet);
    }
}

void Bystanders::run() {
    std::vector<pollfd> waiting;
    for (const Client& client : clients_) waiting.push_back({client.fd, POLLIN, 0});
    try {
        while (!stop_) {
            ::poll(waiting.data(), waiting.size(), 20);
            const auto now = Clock::now();
            std::uint64_t least = UINT64_MAX;
            for (std::size_t i = 0; i < clients_.size(); ++i) {
                Client& client = clients_[i];
                if (waiting[i].revents != 0) read(client);
                if (client.wanted > 0 && now - client.begun > patience)
                    notice(client, "has no answer in time");
                if (client.wanted == 0 && now >= client.next) begin_round(client);
                least = std::min(least, client.rounds);
            }
            all_have_ = least;
        }
    } catch (const std::exception& wrong) {
        noticed_ = wrong.what();
        failed_ = true;
    }
}

void Bystanders::wait_for_rounds(std::uint64_t more) {
    // The round that is under way does not count.
    const std::uint64_t goal = all_have_ + more + (all_have_ > 0 ? 1 : 0);
    const auto deadline = Clock::now() + 3 * patience;
    while (!failed_ && all_have_ < goal) {
        if (Clock::now() > deadline) throw Mismatch("the bystanders do not get on");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (failed_) throw Mismatch(noticed_);
}

void Bystanders::finish() {
    wait_for_rounds(1);
    stop_ = true;
    thread_.join();
    if (failed_) throw Mismatch(noticed_);
}

}  // namespace sluice::test
