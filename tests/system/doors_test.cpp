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

TEST_F(Doors, websocket_handshakes_that_are_none) {
    start(tcp + "transport = \"websocket\"\n");
    const auto with = [](const std::string& from, const std::string& to) {
        std::string changed = upgrade("");
        return changed.replace(changed.find(from), from.size(), to);
    };
    const auto and_header = [&](const std::string& line) {
        return with("Upgrade: w", line + "\r\nUpgrade: w");
    };
    for (const auto& [request, status] :
         {std::pair{with("Upgrade: websocket\r\n", ""), "426"},
          std::pair{with("Connection: Upgrade\r\n", ""), "426"},
          std::pair{with("Version: 13", "Version: 12"), "426"}, std::pair{with("dGhl", "dGh"), "400"},
          std::pair{with("Sec-WebSocket-Key", "X-Key"), "400"},
          std::pair{with("1.1\r\nHost", "1.0\r\nHost"), "400"}, std::pair{with("GET", "POST"), "405"},
          std::pair{and_header("Content-Length: 5") + "hello", "400"},
          std::pair{and_header("Transfer-Encoding: chunked") + "0\r\n\r\n", "400"},
          std::pair{and_header("X: " + std::string(9000, 'x')), "431"},
          std::pair{with("Protocol: mqtt", "Protocol: mqtt5"), "400"},
          std::pair{with("Sec-WebSocket-Protocol: mqtt\r\n", ""), "400"}}) {
        ByteClient client(broker_.port());
        client.send(request);
        EXPECT_THAT(client.read_through("\r\n\r\n"), StartsWith("HTTP/1.1 "s + status)) << request;
        EXPECT_TRUE(client.closed_by_peer()) << request;
    }
    for (const auto& [request, protocol] :
         {std::pair{with("Protocol: mqtt", "Protocol: mqttv3.1"), "mqttv3.1"},
          std::pair{with("Protocol: mqtt", "Protocol: a, mqttv3.1,mqtt , b"), "mqtt"},
          std::pair{and_header("Content-Length: 0"), "mqtt"}}) {
        ByteClient client(broker_.port());
        client.send(request + frame(0x82, connect_packet("web")));  // does not wait for the answer
        EXPECT_THAT(client.read_through("\r\n\r\n"),
                    HasSubstr("Sec-WebSocket-Protocol: "s + protocol + "\r\n"));
        EXPECT_EQ(client.read(1), "\x82");
    }
}

TEST_F(Doors, websocket_frames_that_are_none) {
    start(tcp + "transport = \"websocket\"\n");
    const std::string ping_packet = "\xc0\x00"s, pong_packet = "\x82\x02\xd0\x00"s;
    for (const auto& [bytes, answer] :
         {std::pair{"\x82\x02\xc0\x00"s, "\x88\x02\x03\xea"s},  // 1002: not masked
          std::pair{frame(0xc2, ping_packet), "\x88\x02\x03\xea"s},
          std::pair{frame(0x83, ping_packet), "\x88\x02\x03\xea"s},
          std::pair{"\x89\xfe\x00\x7e"s, "\x88\x02\x03\xea"s},
          std::pair{"\x82\xff\0\0\0\0\0\0\0\x02\0\0\0\0"s, "\x88\x02\x03\xea"s},
          std::pair{"\x82\xff\0\0\0\0\x20\0\0\0\0\0\0\0"s, "\x88\x02\x03\xf1"s},  // 1009: too large
          std::pair{frame(0x88, "\x0f\xa0why"), "\x88\x02\x0f\xa0"s},
          std::pair{frame(0x88, ""), "\x88\x02\x03\xe8"s},
          std::pair{frame(0x88, "\x03"), "\x88\x02\x03\xea"s},
          // Empty frames, and one of a length that takes eight bytes, are as good as any.
          std::pair{frame(0x82, "") + frame(0x02, "") + frame(0x80, "") + frame(0x82, ping_packet),
                    pong_packet},
          std::pair{"\x82\xff\0\0\0\0\0\x01\0\x06\0\0\0\0\x30\x82\x80\x04\0\x01"s + "a\0"s +
                        std::string(65534, 'x') + frame(0x82, ping_packet),
                    pong_packet}}) {
        ByteClient client(broker_.port());
        client.send(upgrade("") + frame(0x82, connect_packet("web")));
        client.read_through("\r\n\r\n");
        const std::string connack = client.read(2);
        client.read(static_cast<unsigned char>(connack.back()));
        client.send(bytes);
        EXPECT_EQ(client.read(4), answer);
        if (answer[0] == '\x88') {
            EXPECT_TRUE(client.closed_by_peer());
        }
    }
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

TEST_F(Doors, one_door_for_both_families) {
    if (std::ifstream("/proc/net/if_inet6").peek() == std::ifstream::traits_type::eof())
        GTEST_SKIP() << "no IPv6 here";
    start("port = 0\ninsecure = true\n", "[limits]\nconnections_per_address_max = 1\n");
    ByteClient four(broker_.port()), six = ByteClient::over_ipv6(broker_.port());
    four.send(connect_packet("four"));
    EXPECT_TRUE(is_let_in(four));
    expect_log("client 'four' connected from 127.0.0.1:");  // not ::ffff:127.0.0.1
    six.send(connect_packet("six"));
    EXPECT_TRUE(is_let_in(six));
    expect_log("client 'six' connected from [::1]:");
    ByteClient second_four(broker_.port()), second_six = ByteClient::over_ipv6(broker_.port());
    EXPECT_TRUE(second_four.closed_by_peer());
    EXPECT_TRUE(second_six.closed_by_peer());
    expect_log("[::1]:");
    expect_log("is refused: its address has as many connections");
}

TEST_F(Doors, ipv6_address_in_the_proxy_header) {
    start(proxied, "[limits]\nconnections_per_address_max = 1\n");
    const auto from = [](const std::string& address, const std::string& id) {
        return "\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x24"s + address + std::string(16, '\0') +
               "\x1f\x40\x07\x5b" + connect_packet(id);
    };
    const std::string net = "\x20\x01\x0d\xb8\0\0\0\x01"s;
    ByteClient one(broker_.port()), same(broker_.port()), other(broker_.port()), mapped(broker_.port()),
        four(broker_.port());
    one.send(from(net + "\0\0\0\0\0\0\0\x09"s, "one"));
    EXPECT_TRUE(is_let_in(one));
    expect_log("client 'one' connected from [2001:db8:0:1::9]:8000");
    same.send(from(net + "\0\0\0\0\0\0\0\x0a"s, "same"));  // another address of the same host, perhaps
    EXPECT_TRUE(same.closed_by_peer());
    other.send(from("\x20\x01\x0d\xb8\0\0\0\x02\0\0\0\0\0\0\0\x09"s, "other"));
    EXPECT_TRUE(is_let_in(other));
    mapped.send(from("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07"s, "mapped"));
    EXPECT_TRUE(is_let_in(mapped));
    expect_log("client 'mapped' connected from 192.0.2.7:8000");
    four.send("PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n" + connect_packet("four"));
    EXPECT_TRUE(four.closed_by_peer()) << "the same address, however it is written";
}

TEST_F(Doors, guesses_are_told_and_slowed) {
    std::ofstream(folder_.path() / "passwd") << "";
    ASSERT_TRUE(broker_.start("[broker]\ndata_dir = \"data\"\n[[listener]]\n" + tcp +
                              "[auth]\npassword_file = \"passwd\"\n"))
        << broker_.log();
    const auto guess = [&] {
        ByteClient client(broker_.port());
        client.send(connect_packet("a", "admin", "guess"));
        std::string answer;
        EXPECT_TRUE(client.closed_by_peer(&answer));
        EXPECT_EQ(answer, "\x20\x03\x00\x86\x00"s);
    };
    for (int i = 0; i < 20; ++i) guess();
    EXPECT_THAT(broker_.log(), Not(HasSubstr("many wrong passwords")));
    // Time forgives one in five seconds: on a slow machine more than one is needed.
    auto took = std::chrono::steady_clock::duration::zero();
    for (int i = 0; i < 100 && took < std::chrono::milliseconds(250); ++i) {
        const auto started = std::chrono::steady_clock::now();
        guess();
        took = std::chrono::steady_clock::now() - started;
    }
    expect_log("client 'a' gets its answer 250 ms later: many wrong passwords came from its address");
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
