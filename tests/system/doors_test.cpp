/// What stands in front of MQTT: proxies, web pages, Unix sockets, IPv6, limits by address, fights.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/byte_client.hpp"
#include "tests/system/mosquitto.hpp"

namespace sluice::test {
namespace {

using namespace std::string_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Doors : public ::testing::Test {
  protected:
    void start(const std::string& listener, const std::string& more = "") {
        ASSERT_TRUE(broker_.start("[broker]\ndata_dir = \"data\"\n[[listener]]\nanonymous = true\n" +
                                  listener + "\n" + more))
            << broker_.log();
    }
    void expect_log(const std::string& text) {
        EXPECT_TRUE(broker_.wait_for_log(text)) << text << "\n" << broker_.log();
    }
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

const std::string tcp = "address = \"127.0.0.1\"\nport = 0\n";
const std::string proxied = tcp + "proxy_protocol = \"required\"\ninsecure = true\n";
const std::string binary_header =
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x1f\x40\x07\x5b"s;

TEST_F(Doors, proxy_header_of_either_version_names_the_client) {
    start(proxied);
    ByteClient text(broker_.port());
    text.send("PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n" + connect_packet("one"));
    EXPECT_TRUE(is_let_in(text));
    expect_log("client 'one' connected from 192.0.2.7:51234");
    ByteClient binary(broker_.port());
    binary.send(binary_header + connect_packet("two"));
    EXPECT_TRUE(is_let_in(binary));
    expect_log("client 'two' connected from 203.0.113.9:8000");
    ByteClient unknown(broker_.port());
    for (const char byte : "PROXY UNKNOWN\r\n" + connect_packet("three")) unknown.send({&byte, 1});
    EXPECT_TRUE(is_let_in(unknown));
    expect_log("client 'three' connected from 127.0.0.1:");
}

TEST_F(Doors, without_a_proxy_header_nobody_comes_in) {
    start(proxied);
    ByteClient direct(broker_.port());
    direct.send(connect_packet("direct"));
    EXPECT_TRUE(direct.closed_by_peer());
    expect_log("PROXY header: there is none (MQTT sent without a proxy");
    ByteClient malformed(broker_.port());
    malformed.send("PROXY TCP4 192.0.2.7\r\n");
    EXPECT_TRUE(malformed.closed_by_peer());
    expect_log("PROXY header: the line has not two addresses");
    EXPECT_THAT(broker_.log(), Not(HasSubstr("connected from")));
}

TEST_F(Doors, only_the_proxies_that_are_named_may_connect) {
    start(proxied + "proxy_from = [\"192.0.2.0/24\", \"::1\"]\n");
    ByteClient stranger(broker_.port());
    EXPECT_TRUE(stranger.closed_by_peer());
    expect_log("it is not in `proxy_from`");
}

TEST_F(Doors, address_in_the_proxy_header_counts) {
    start(proxied, "[limits]\nconnections_per_address_max = 2\n");
    const auto from = [](const std::string& address, const std::string& id) {
        return "PROXY TCP4 " + address + " 198.51.100.1 51234 1883\r\n" + connect_packet(id);
    };
    ByteClient one(broker_.port()), two(broker_.port()), three(broker_.port()), other(broker_.port());
    one.send(from("192.0.2.7", "one"));
    EXPECT_TRUE(is_let_in(one));
    two.send(from("192.0.2.7", "two"));
    EXPECT_TRUE(is_let_in(two));
    three.send(from("192.0.2.7", "three"));
    EXPECT_TRUE(three.closed_by_peer());
    expect_log("192.0.2.7:51234 is refused: its address has as many connections");
    other.send(from("192.0.2.8", "other"));
    EXPECT_TRUE(is_let_in(other));
}

TEST_F(Doors, place_of_an_address_is_free_again_when_its_connection_ends) {
    start(tcp, "[limits]\nconnections_per_address_max = 1\n");
    for (int round = 0; round < 3; ++round) {
        const auto deadline = std::chrono::steady_clock::now() + ByteClient::patience;
        bool in = false;
        // The broker learns of the end of the one before in its own time.
        while (!in && std::chrono::steady_clock::now() < deadline) {
            ByteClient client(broker_.port());
            client.send(connect_packet("one"));
            in = is_let_in(client);
            if (!in) continue;
            ByteClient second(broker_.port());
            EXPECT_TRUE(second.closed_by_peer());
        }
        EXPECT_TRUE(in) << round;
    }
}

std::string upgrade(const std::string& origin, const std::string& path = "/mqtt") {
    return "GET " + path +
           " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
           "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n" +
           (origin.empty() ? "" : "Origin: " + origin + "\r\n") + "\r\n";
}
/// Masked with zeros, which changes nothing.
std::string frame(int first, const std::string& payload) {
    return std::string(1, static_cast<char>(first)) + static_cast<char>(0x80 | payload.size()) + "\0\0\0\0"s +
           payload;
}

TEST_F(Doors, web_page_of_another_origin_is_refused) {
    start(tcp +
          "transport = \"websocket\"\norigins = [\"https://dash.example\"]\nwebsocket_path = \"/mqtt\"\n");
    for (const auto& [request, status] :
         {std::pair{upgrade("https://dash.example"), "101"}, std::pair{upgrade(""), "101"},
          std::pair{upgrade("https://evil.example"), "403"}, std::pair{upgrade("null"), "403"},
          std::pair{upgrade("", "/elsewhere"), "404"},
          std::pair{"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n"s, "426"}, std::pair{"nonsense\r\n\r\n"s, ""}}) {
        ByteClient client(broker_.port());
        client.send(request);
        if (*status != '\0') {
            EXPECT_THAT(client.read_through("\r\n\r\n"), StartsWith("HTTP/1.1 "s + status)) << request;
        }
        if (status != "101"s) {
            EXPECT_TRUE(client.closed_by_peer()) << request;
        }
    }
    expect_log("pages of origin 'https://evil.example' may not connect");
}

TEST_F(Doors, mqtt_over_websocket_in_frames_of_any_shape) {
    start(tcp + "transport = \"websocket\"\n");
    ByteClient client(broker_.port());
    const std::string connect = connect_packet("web");
    // Two packets in three fragments, with a ping between them.
    client.send(upgrade("") + frame(0x02, connect.substr(0, 3)) + frame(0x89, "?") +
                frame(0x00, connect.substr(3)) + frame(0x80, "\xc0\x00"s));
    EXPECT_THAT(client.read_through("\r\n\r\n"), StartsWith("HTTP/1.1 101"));
    EXPECT_EQ(client.read(3), "\x8a\x01?");
    EXPECT_THAT(client.read_through("\xd0\x00"s), HasSubstr("\x20"));
    client.send(frame(0x81, "text"));
    std::string rest;
    EXPECT_TRUE(client.closed_by_peer(&rest));
    EXPECT_EQ(rest, "\x88\x02\x03\xeb");  // 1003 [MQTT-6.0.0-1]
}

TEST_F(Doors, unix_socket_has_its_mode_and_takes_clients) {
    const std::string path = (folder_.path() / "mqtt.sock").string();
    start("transport = \"unix\"\npath = \"mqtt.sock\"\nmode = \"0600\"\n");
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    const auto sent = mosquitto_pub({"--unix", path, "-q", "1", "-t", "a", "-m", "x"});
    EXPECT_EQ(sent.exit_code, 0) << sent.err;
    expect_log("connected from unix");
    broker_.kill();
    start("transport = \"unix\"\npath = \"mqtt.sock\"\n");  // over the socket that the dead one left behind
    EXPECT_EQ(mosquitto_pub({"--unix", path, "-q", "1", "-t", "a", "-m", "x"}).exit_code, 0);
    EXPECT_TRUE(broker_.stop());
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Doors, ipv6) {
    if (std::ifstream("/proc/net/if_inet6").peek() == std::ifstream::traits_type::eof())
        GTEST_SKIP() << "no IPv6 here";
    start("address = \"::1\"\nport = 0\n");
    const auto port = std::to_string(broker_.port());
    const auto sent = mosquitto_pub({"-h", "::1", "-p", port, "-q", "1", "-t", "a", "-m", "x"});
    EXPECT_EQ(sent.exit_code, 0) << sent.err;
    expect_log("connected from [::1]:");
}

TEST_F(Doors, refused_stranger_learns_nothing) {
    std::ofstream(folder_.path() / "passwd") << "";
    ASSERT_TRUE(broker_.start("[broker]\ndata_dir = \"data\"\n[[listener]]\n" + tcp +
                              "[auth]\npassword_file = \"passwd\"\n"))
        << broker_.log();
    ByteClient client(broker_.port());
    client.send(connect_packet("a", "nobody", "guess"));
    std::string answer;
    EXPECT_TRUE(client.closed_by_peer(&answer));
    EXPECT_EQ(answer, "\x20\x03\x00\x86\x00"s);  // no Reason String
}

TEST_F(Doors, fight_over_a_client_id_is_told_and_slowed) {
    start(tcp);
    std::vector<ByteClient> fighters;
    for (int i = 0; i <= 20; ++i) {  // the first one takes nothing over
        fighters.emplace_back(broker_.port());
        fighters.back().send(connect_packet("same"));
        ASSERT_TRUE(is_let_in(fighters.back())) << i;
    }
    EXPECT_THAT(broker_.log(), Not(HasSubstr("fight over this client id")));
    ByteClient newcomer(broker_.port());
    const auto started = std::chrono::steady_clock::now();
    newcomer.send(connect_packet("same"));
    expect_log("fight over this client id; the newcomer 127.0.0.1:");
    ByteClient bystander(broker_.port());
    bystander.send(connect_packet("other"));
    EXPECT_TRUE(is_let_in(bystander));
    EXPECT_TRUE(is_let_in(newcomer));
    EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::milliseconds(950));
    std::string farewell;
    EXPECT_TRUE(fighters.back().closed_by_peer(&farewell));
    EXPECT_THAT(farewell, HasSubstr("\xe0\x01\x8e"s)) << "Session taken over";
}

}  // namespace
}  // namespace sluice::test
