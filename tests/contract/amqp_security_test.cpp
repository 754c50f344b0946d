/// TLS and EXTERNAL of the amqp connector, against a real RabbitMQ node.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/contract/amqp_peer.hpp"
#include "tests/contract/security_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

/// A port on which the kernel takes `backlog` + 1 connections and nobody ever speaks; further ones are not
/// even answered.
class SilentPort {
  public:
    explicit SilentPort(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address_;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&address_), size) != 0 || ::listen(fd_, backlog) != 0 ||
            ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size) != 0)
            throw std::runtime_error("no port");
    }
    ~SilentPort() {
        for (const int fd : taken_) ::close(fd);
        ::close(fd_);
    }
    SilentPort(const SilentPort&) = delete;
    SilentPort& operator=(const SilentPort&) = delete;
    /// Takes one of the places.
    void take() {
        taken_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(taken_.back(), reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0)
            throw std::runtime_error("connect");
    }
    std::string address() const { return "localhost:" + std::to_string(ntohs(address_.sin_port)); }

  private:
    int fd_;
    sockaddr_in address_{};
    std::vector<int> taken_;
};

class AmqpSecurity : public SecurityFixture {
  protected:
    void SetUp() override {
        if (!use_quietly("amqp")) GTEST_SKIP() << why_;
        node_ = static_cast<AmqpPeer*>(peer_);
        peer_->configure_place(settings_, place_);
        lead_to("localhost");
    }
    void lead_to(const std::string& host) {
        settings_.bridge("servers", Strings{host + ":" + std::to_string(node_->tls_port())});
    }
    void trust() { settings_.bridge("ca_file", certificate_file("ca.crt")); }
    void show_certificate(const std::string& name) {
        settings_.bridge("certificate", certificate_file(name + ".crt"));
        settings_.bridge("key", certificate_file(name + ".key"));
    }
    void make_user(const std::string& name) {
        peer_->ask("ctl add_user " + name + " not-used");
        ASSERT_EQ(peer_->ask("ctl set_permissions " + name + " '.*' '.*' '.*'").substr(0, 2), "ok");
    }
    void expect_prompt_stop() {
        const auto begin = std::chrono::steady_clock::now();
        connector_->stop(milliseconds(300));
        EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(2300));
    }

    AmqpPeer* node_ = nullptr;
};

TEST_F(AmqpSecurity, tls_with_a_ca) {
    trust();
    expect_delivery();
}

TEST_F(AmqpSecurity, a_certificate_may_name_an_address) {
    lead_to("127.0.0.1");
    trust();
    expect_delivery();
}

TEST_F(AmqpSecurity, a_server_of_an_unknown_ca_is_told) {
    settings_.bridge("ca_file", certificate_file("wrong-ca.crt"));
    expect_down(": the server's certificate is not accepted: ");
}

TEST_F(AmqpSecurity, the_cas_of_the_system_do_not_know_ours) {
    settings_.bridge("tls", true);
    expect_down(": the server's certificate is not accepted: ");
}

/// "127.1" is a way to write 127.0.0.1 that no certificate has.
TEST_F(AmqpSecurity, a_certificate_of_another_host_is_told) {
    lead_to("127.1");
    trust();
    expect_down(": the server's certificate does not name this host");
}

TEST_F(AmqpSecurity, without_the_name_check_a_certificate_of_another_host_will_do) {
    lead_to("127.1");
    trust();
    settings_.bridge("server_name_check", false);
    expect_delivery();
}

TEST_F(AmqpSecurity, a_plain_port_is_told) {
    settings_.bridge("servers", Strings{"localhost:" + std::to_string(node_->port())});
    trust();
    expect_down(": TLS failed, perhaps this port of the server has none: ");
}

TEST_F(AmqpSecurity, a_tls_port_is_told) {
    settings_.bridge("tls", false);
    expect_down("perhaps its port wants `tls`");
}

TEST_F(AmqpSecurity, without_a_port_it_is_5671) {
    settings_.bridge("servers", Strings{"127.0.0.1"});
    settings_.bridge("tls", true);
    expect_down("127.0.0.1:5671: ");
}

TEST_F(AmqpSecurity, external_takes_the_name_from_the_certificate) {
    make_user("device-0001");
    trust();
    show_certificate("device-0001");
    settings_.bridge("sasl", std::int64_t{1});
    settings_.bridge("password", std::string("hunter2"));
    expect_delivery();
    EXPECT_NE(peer_->ask("ctl list_connections user auth_mechanism").find("device-0001"), std::string::npos);
}

TEST_F(AmqpSecurity, the_way_down_is_as_safe_as_the_way_up) {
    make_user("device-0001");
    trust();
    show_certificate("device-0001");
    settings_.bridge("sasl", std::int64_t{1});
    settings_.spec.routes.clear();
    settings_.add_down();
    settings_.down("queue", place_);
    AmqpClient(node_->port()).publish(place_, "open");
    start();
    ASSERT_TRUE(feeder_.wait_incoming(1)) << last_down();
    EXPECT_NE(peer_->ask("ctl list_connections user auth_mechanism ssl").find("device-0001 EXTERNAL true"),
              std::string::npos);
}

TEST_F(AmqpSecurity, external_with_an_encrypted_key) {
    make_user("device-0001");
    trust();
    show_certificate("device-0001");
    settings_.bridge("key", certificate_file("locked.key"));
    settings_.bridge("key_password", std::string("hunter2-lock"));
    settings_.bridge("sasl", std::int64_t{1});
    expect_delivery();
}

TEST_F(AmqpSecurity, external_as_nobody_is_told) {
    trust();
    show_certificate("device-0002");
    peer_->ask("ctl delete_user device-0002");
    settings_.bridge("sasl", std::int64_t{1});
    expect_down(" does not let the certificate " + certificate_file("device-0002.crt") +
                " into virtual host '/': ");
    EXPECT_NE(last_down().find("ACCESS_REFUSED"), std::string::npos) << last_down();
}

TEST_F(AmqpSecurity, a_certificate_of_ours_from_an_unknown_ca_is_told) {
    trust();
    show_certificate("wrong-device");
    expect_down("the server does not know the CA of our certificate");
}

TEST_F(AmqpSecurity, an_expired_certificate_of_ours_is_told) {
    trust();
    show_certificate("expired-device");
    expect_down("our certificate has expired");
}

TEST_F(AmqpSecurity, a_wrong_password_is_told_without_it) {
    trust();
    settings_.bridge("password", std::string("hunter2"));
    expect_down("ACCESS_REFUSED");
}

TEST_F(AmqpSecurity, replaced_files_count_from_the_next_connection_on) {
    const SecurityFolder folder;
    std::filesystem::copy_file(certificate_file("wrong-ca.crt"), folder.file("ca.crt"));
    settings_.bridge("ca_file", folder.file("ca.crt"));
    start();
    ASSERT_TRUE(feeder_.wait_down());
    write_file(folder.file("ca.crt"), "nothing");
    ASSERT_TRUE(feeder_.wait([&] {
        return feeder_.downs_.back().find("ca_file: " + folder.file("ca.crt")) != std::string::npos;
    })) << last_down();
    std::filesystem::copy_file(certificate_file("ca.crt"), folder.file("ca.crt"),
                               std::filesystem::copy_options::overwrite_existing);
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
}

TEST_F(AmqpSecurity, large_messages_and_many) {
    trust();
    start();
    ASSERT_TRUE(feeder_.wait_up());
    for (int i = 0; i < 500; ++i)
        feeder_.publish_text(0, "plant/a", i % 100 == 0 ? std::string(1'000'000, 'x') : std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(500)) << last_down();
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U);
    const auto all = peer_->receive(place_, 500);
    ASSERT_EQ(all.size(), 500U);
    EXPECT_EQ(all[499].payload, "499");
    EXPECT_EQ(all[400].payload.size(), 1'000'000U);
}

TEST_F(AmqpSecurity, a_publish_that_hangs_is_broken_off) {
    trust();
    start();
    ASSERT_TRUE(feeder_.wait_up());
    peer_->freeze();
    const std::string large(4'000'000, 'x');
    for (int i = 0; i < 4; ++i) feeder_.publish_text(0, "plant/a", large);
    EXPECT_TRUE(feeder_.wait_down()) << "the hanging send was not broken off";
    peer_->thaw();
    ASSERT_TRUE(feeder_.wait_confirmed(4)) << last_down();
}

TEST_F(AmqpSecurity, an_idle_connection_stays) {
    trust();
    settings_.bridge("heartbeat", std::int64_t{2000});
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.wait([] { return false; }, milliseconds(4500));  // more than twice the heartbeat
    EXPECT_EQ(feeder_.read([&] { return feeder_.downs_.size(); }), 0U) << last_down();
}

TEST_F(AmqpSecurity, stop_breaks_a_handshake_that_hangs) {
    SilentPort port(8);
    settings_.bridge("servers", Strings{port.address()});
    settings_.bridge("connect_timeout", std::int64_t{60'000});
    trust();
    start();
    feeder_.wait([] { return false; }, milliseconds(300));  // let it hang
    expect_prompt_stop();
}

TEST_F(AmqpSecurity, stop_breaks_a_connect_that_hangs) {
    SilentPort port(0);
    port.take();
    settings_.bridge("servers", Strings{port.address()});
    settings_.bridge("connect_timeout", std::int64_t{60'000});
    trust();
    start();
    feeder_.wait([] { return false; }, milliseconds(300));  // let it hang
    expect_prompt_stop();
}

TEST_F(AmqpSecurity, a_handshake_that_hangs_ends_by_itself) {
    SilentPort port(8);
    settings_.bridge("servers", Strings{port.address()});
    settings_.bridge("connect_timeout", std::int64_t{1000});
    trust();
    const auto begin = std::chrono::steady_clock::now();
    expect_down(port.address() + ": ");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
}

TEST_F(AmqpSecurity, create_names_what_does_not_go_together) {
    settings_.bridge("sasl", std::int64_t{1});
    EXPECT_EQ(create_error(),
              "test.toml:1: certificate: is missing; expected it with sasl = \"external\", and `key`");
    settings_.bridge("certificate", certificate_file("device-0001.crt"));
    EXPECT_EQ(create_error(), "test.toml:1: certificate: there is no `key`; expected both or neither");
    settings_.bridge("key", certificate_file("device-0002.key"));
    EXPECT_NE(create_error().find("it is not the key of the certificate"), std::string::npos)
        << create_error();
    settings_.bridge("key", certificate_file("device-0001.key"));
    EXPECT_EQ(create_error(), "");
    settings_.bridge("tls", false);
    EXPECT_EQ(create_error(),
              "test.toml:1: certificate: has no meaning with tls = false; expected it to be left out, or "
              "tls = true");
}

}  // namespace
}  // namespace sluice::bridge::test
