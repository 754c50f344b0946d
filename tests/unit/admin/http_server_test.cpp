#include "admin/http_server.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "admin/http_client.hpp"
#include "fake_control.hpp"
#include "fake_stats.hpp"

namespace sluice::admin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// A socket to the server and raw bytes: what a browser, an attacker or a broken client would send.
class Peer {
  public:
    explicit Peer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        const timeval limit{20, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer() { ::close(fd_); }

    bool connected() const { return connected_; }
    Peer& send(std::string_view text) {
        EXPECT_GE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL), 0);
        return *this;
    }
    /// All that comes until the server closes.
    std::string read_all() {
        std::string out;
        char block[4096];
        ssize_t got = 0;
        while ((got = ::recv(fd_, block, sizeof block, 0)) > 0) out.append(block, std::size_t(got));
        return out;
    }
    /// What comes until `end` was seen.
    std::string read_until(std::string_view end) {
        std::string out;
        char c = 0;
        while (!out.ends_with(end) && ::recv(fd_, &c, 1, 0) == 1) out += c;
        return out;
    }

  private:
    int fd_;
    bool connected_ = false;
};

constexpr std::string_view pause_request =
    "POST /api/v1/bridges/plant/pause HTTP/1.1\r\nHost: localhost\r\nX-Sluice-Request: 1\r\nContent-Length: "
    "0\r\n\r\n";

class HttpServerTest : public testing::Test {
  protected:
    void start(ServerLimits limits = {}) {
        server_.emplace(stats_, &control_, AdminSettings{"127.0.0.1", 0}, limits);
        const auto port = server_->start();
        ASSERT_TRUE(port.ok()) << port.error();
        port_ = *port;
    }
    std::string ask(std::string_view text) { return Peer(port_).send(text).read_all(); }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

    FakeStats stats_;
    FakeControl control_;
    std::optional<HttpServer> server_;
    std::uint16_t port_ = 0;
};

TEST_F(HttpServerTest, AnswersItsClient) {
    start();
    const auto reply = http_get(url(), "/metrics");
    ASSERT_TRUE(reply.ok()) << reply.error();
    EXPECT_EQ(reply->status, 200U);
    EXPECT_EQ(reply->content_type, "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_THAT(reply->body, HasSubstr("sluice_connections{shard=\"0\"} 2\n"));
    EXPECT_EQ(http_get(url() + "/", "/nowhere")->status, 404U);
}

TEST_F(HttpServerTest, AnswersManyRequestsOnOneConnection) {
    start();
    Peer peer(port_);
    for (int i = 0; i < 3; ++i) {
        peer.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        EXPECT_THAT(peer.read_until("}\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    }
    peer.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(peer.read_all(), HasSubstr("Connection: close\r\n"));
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
    start();
    const std::string answer =
        ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /x HTTP/1.1\r\nHost: "
            "localhost\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("HTTP/1.1 404 Not Found\r\n"));
}

TEST_F(HttpServerTest, SendsNoBodyForHead) {
    start();
    const std::string answer = ask("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
    EXPECT_THAT(answer, testing::Not(HasSubstr("Content-Length: 0\r\n")));
}

TEST_F(HttpServerTest, SaysWhichMethodsThereAre) {
    start();
    const std::string answer =
        ask("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
}

TEST_F(HttpServerTest, RefusesANameFromElsewhere) {
    start();
    EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
                StartsWith("HTTP/1.1 403 Forbidden\r\n"));
    EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n"),
                StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_THAT(ask("GET /metrics HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, BoundsARequest) {
    start();
    EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20000, 'x') + "\r\n\r\n"),
                StartsWith("HTTP/1.1 431 Request Header Fields Too Large\r\n"));
    EXPECT_THAT(ask("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"),
                StartsWith("HTTP/1.1 413 Payload Too Large\r\n"));
    EXPECT_THAT(ask("\x16\x03\x01\x02\r\n\r\n"), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
    EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);
}

TEST_F(HttpServerTest, EndsASilentOrSlowPeer) {
    ServerLimits limits;
    limits.request_timeout = std::chrono::milliseconds(50);
    start(limits);
    EXPECT_EQ(Peer(port_).read_all(), "");
    EXPECT_EQ(ask("GET /healthz HTTP/1.1\r\nHos"), "");
    EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);
}

TEST_F(HttpServerTest, ServesOnlySoManyAtATimeAndThenTheNext) {
    ServerLimits limits;
    limits.connections_max = 2;
    limits.request_timeout = std::chrono::milliseconds(100);
    start(limits);
    std::vector<std::unique_ptr<Peer>> silent;
    for (int i = 0; i < 6; ++i) silent.push_back(std::make_unique<Peer>(port_));
    // Waits in the backlog until the silent ones are ended, two at a time.
    EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);
    for (auto& peer : silent) EXPECT_EQ(peer->read_all(), "");
}

TEST_F(HttpServerTest, SaysThatThePortIsTaken) {
    start();
    HttpServer second(stats_, nullptr, AdminSettings{"127.0.0.1", port_});
    const auto port = second.start();
    ASSERT_FALSE(port.ok());
    EXPECT_EQ(port.error(),
              "admin: cannot listen on 127.0.0.1:" + std::to_string(port_) + ": Address already in use");
    HttpServer nowhere(stats_, nullptr, AdminSettings{"plant", 0});
    EXPECT_EQ(nowhere.start().error(), "admin: \"plant\" is not an IP address");
}

TEST_F(HttpServerTest, StopsWithPeersConnected) {
    start();
    Peer silent(port_), half(port_);
    half.send("GET /metrics HTTP/1.1\r\n");
    EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);  // both were accepted before
    server_->stop();
    EXPECT_EQ(silent.read_all(), "");
    EXPECT_EQ(half.read_all(), "");
    EXPECT_FALSE(Peer(port_).connected());
    server_->stop();
}

TEST_F(HttpServerTest, TakesCommands) {
    start();
    const auto paused = http_post(url(), "/api/v1/bridges/plant/pause", "");
    ASSERT_TRUE(paused.ok()) << paused.error();
    EXPECT_EQ(paused->status, 200U) << paused->body;
    const auto dropped = http_post(url(), "/api/v1/bridges/plant/dead/drop", R"({"ids": ["7"]})");
    EXPECT_EQ(dropped->status, 200U) << dropped->body;
    EXPECT_EQ(http_get(url(), "/api/v1/spools")->status, 200U);
    EXPECT_THAT(control_.told(), testing::ElementsAre("pause plant", "drop plant [7]", "leftovers"));
}

TEST_F(HttpServerTest, TakesAsManyIdsAsACommandMayHave) {
    start();
    std::string ids;
    for (int i = 0; i < 4096; ++i)
        ids += (i ? ", \"" : "\"") + std::to_string(18'446'744'073'709'551'615U - unsigned(i)) + "\"";
    const auto dropped = http_post(url(), "/api/v1/bridges/plant/dead/drop", "{\"ids\": [" + ids + "]}");
    ASSERT_TRUE(dropped.ok()) << dropped.error();
    EXPECT_EQ(dropped->status, 200U) << dropped->body;
}

TEST_F(HttpServerTest, TakesNoCommandsFromAWebPage) {
    start();
    const auto post = [&](std::string_view headers) {
        return ask(
            "POST /api/v1/bridges/plant/pause HTTP/1.1\r\nHost: localhost\r\nConnection: "
            "close\r\nContent-Length: 0\r\n" +
            std::string(headers) + "\r\n");
    };
    const auto refused = StartsWith("HTTP/1.1 403 Forbidden\r\n");
    EXPECT_THAT(post(""), refused);
    EXPECT_THAT(post("Content-Type: text/plain\r\n"), refused);
    EXPECT_THAT(post("X-Sluice-Request: 1\r\nOrigin: http://evil.example\r\n"), refused);
    EXPECT_THAT(post("X-Sluice-Request: 1\r\nOrigin: http://localhost\r\nOrigin: null\r\n"), refused);
    // What a browser asks before it sends such a header from another page's script.
    const std::string preflight =
        ask("OPTIONS /api/v1/bridges/plant/pause HTTP/1.1\r\nHost: localhost\r\nOrigin: "
            "http://evil.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
            "x-sluice-request\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(preflight, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
    EXPECT_THAT(preflight, HasSubstr("Allow: POST\r\n"));
    EXPECT_THAT(preflight, testing::Not(HasSubstr("Access-Control")));
    EXPECT_THAT(control_.told(), testing::ElementsAre());
    EXPECT_THAT(post("x-sluice-request: 1\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(post("X-Sluice-Request: 1\r\nOrigin: http://localhost\r\n"), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(HttpServerTest, AnswersOthersWhileACommandWaits) {
    start();
    control_.close();
    Peer slow(port_);
    slow.send(pause_request);
    control_.wait_until_it_waits();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);
    EXPECT_EQ(http_get(url(), "/metrics")->status, 200U);
    EXPECT_EQ(http_get(url(), "/api/v1/bridges/plant")->status, 200U);
    control_.open();
    EXPECT_THAT(slow.read_until("}\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    // The connection goes on.
    slow.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(slow.read_until("}\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpServerTest, LetsOnlySoManyCommandsWait) {
    ServerLimits limits;
    limits.commands_waiting_max = 1;
    start(limits);
    control_.close();
    Peer running(port_), waiting(port_);
    running.send(pause_request);
    control_.wait_until_it_waits();
    // One of two waits, the other is refused at once.
    waiting.send(pause_request);
    Peer third(port_);
    third.send(pause_request);
    EXPECT_THAT(third.read_until("}\n"), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
    EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);
    control_.open();
    EXPECT_THAT(running.read_until("}\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(waiting.read_until("}\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(control_.told().size(), 2U);
}

TEST_F(HttpServerTest, DoesNoCommandThatHasWaitedTooLong) {
    ServerLimits limits;
    limits.command_wait_max = std::chrono::milliseconds(-1);  // even no time is too long
    start(limits);
    const auto reply = http_post(url(), "/api/v1/bridges/plant/pause", "");
    ASSERT_TRUE(reply.ok()) << reply.error();
    EXPECT_EQ(reply->status, 503U);
    EXPECT_THAT(reply->body, HasSubstr("nothing was done"));
    EXPECT_THAT(control_.told(), testing::ElementsAre());
}

TEST_F(HttpServerTest, LivesOnWhenThePeerOfACommandGoes) {
    start();
    control_.close();
    {
        Peer gone(port_);
        gone.send(pause_request);
        control_.wait_until_it_waits();
    }
    control_.open();
    EXPECT_EQ(http_post(url(), "/api/v1/bridges/plant/resume", "")->status, 200U);
    EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);
}

TEST_F(HttpServerTest, StopsWhileACommandRunsAndOthersWait) {
    start();
    control_.close();
    Peer running(port_), waiting(port_);
    running.send(pause_request);
    control_.wait_until_it_waits();
    waiting.send(pause_request);
    EXPECT_EQ(http_get(url(), "/healthz")->status, 200U);
    std::atomic<bool> stopped{false};
    std::thread stopper([&] {
        server_->stop();
        stopped = true;
    });
    // The port's thread ends first: nobody answers any more. The command still has its control.
    while (http_get(url(), "/healthz", std::chrono::milliseconds(20)).ok()) std::this_thread::yield();
    EXPECT_FALSE(stopped);
    control_.open();
    stopper.join();
    EXPECT_EQ(running.read_all(), "");
    EXPECT_EQ(waiting.read_all(), "");
    EXPECT_THAT(control_.told(), testing::ElementsAre("pause plant"));
}

TEST_F(HttpServerTest, HasNoCommandsWithoutControl) {
    HttpServer server(stats_, nullptr, AdminSettings{"127.0.0.1", 0});
    const auto port = server.start();
    ASSERT_TRUE(port.ok());
    const std::string here = "http://127.0.0.1:" + std::to_string(*port);
    EXPECT_EQ(http_post(here, "/api/v1/bridges/plant/pause", "")->status, 501U);
    EXPECT_EQ(http_get(here, "/api/v1/spools")->status, 501U);
    EXPECT_EQ(http_get(here, "/api/v1/bridges/plant")->status, 200U);
}

TEST_F(HttpServerTest, ServesSeveralThreadsOfClients) {
    start();
    std::vector<std::thread> clients;
    std::atomic<int> good{0};
    for (int i = 0; i < 8; ++i) {
        clients.emplace_back([&] {
            for (int n = 0; n < 20; ++n) {
                const auto reply = http_get(url(), "/api/v1/bridges");
                if (reply.ok() && reply->status == 200) ++good;
            }
        });
    }
    for (auto& client : clients) client.join();
    EXPECT_EQ(good, 160);
}

TEST(HttpClient, SaysWhyThereIsNoAnswer) {
    for (const char* url : {"", "127.0.0.1", "https://127.0.0.1", "http://", "http://:1", "http://[::1",
                            "http://a:", "http://a:b", "http://a/b", "http://u@a", "http://a\r\nX: y"}) {
        const auto reply = http_get(url, "/");
        ASSERT_FALSE(reply.ok()) << url;
        EXPECT_EQ(reply.error(), "expected an address such as http://127.0.0.1:9883") << url;
    }
    EXPECT_EQ(http_get("http://127.0.0.1:1", "/").error(), "Connection refused");
}

TEST(HttpClient, DoesNotWaitForEver) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(fd, 1), 0);
    ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
    const std::string url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    EXPECT_EQ(http_get(url, "/", std::chrono::milliseconds(50)).error(), "no answer in time");
    EXPECT_EQ(http_post(url, "/", "", std::chrono::milliseconds(50)).error(),
              "no answer in time; whether it was done is not known");
    ::close(fd);
}

}  // namespace
}  // namespace sluice::admin
