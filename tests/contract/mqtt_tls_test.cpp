/// The mqtt connector over TLS, against a server of another make.
#include "tests/contract/mqtt_fixture.hpp"

namespace sluice::bridge::test {
namespace {

class MqttConnectorTls : public MqttConnectorFixture {
  protected:
    void use_tls(const std::string& host, int port, const std::string& ca = "ca.crt") {
        peer_->configure_place(settings_, place_);
        settings_.bridge("servers", std::vector<std::string>{host + ":" + std::to_string(port)});
        settings_.bridge("tls", true);
        settings_.bridge("ca_file", broker_->certificate(ca));
    }
    void expect_delivery() {
        start();
        ASSERT_TRUE(feeder_.wait_up()) << last_down();
        publish_numbers(0, 20);
        feeder_.publish_text(0, "plant/a", std::string(300'000, 'x'));  // many TLS records
        ASSERT_TRUE(feeder_.wait_confirmed(21)) << last_down();
        EXPECT_EQ(peer_->receive(place_, 21).size(), 21U);
    }
    void expect_failure(const std::string& part) {
        start();
        ASSERT_TRUE(feeder_.wait_down());
        EXPECT_NE(last_down().find(part), std::string::npos) << last_down();
        EXPECT_EQ(feeder_.read([&] { return feeder_.ups_; }), 0U);
    }
};

TEST_F(MqttConnectorTls, by_the_name_in_the_certificate) {
    use_tls("localhost", broker_->ports().tls);
    expect_delivery();
}

TEST_F(MqttConnectorTls, by_the_address_in_the_certificate) {
    use_tls("127.0.0.1", broker_->ports().tls);
    expect_delivery();
}

TEST_F(MqttConnectorTls, a_wrong_ca_is_named) {
    use_tls("localhost", broker_->ports().tls, "wrong-ca.crt");
    expect_failure("not signed by a CA in " + broker_->certificate("wrong-ca.crt"));
}

TEST_F(MqttConnectorTls, the_cas_of_the_system_are_the_default_and_do_not_know_this_one) {
    use_tls("localhost", broker_->ports().tls);
    settings_.bridge("ca_file", std::string());
    expect_failure("not signed by a CA that the system trusts");
}

TEST_F(MqttConnectorTls, a_wrong_host_name_is_named) {
    use_tls("127.0.0.2", broker_->ports().tls);
    expect_failure("the server's certificate is not for '127.0.0.2'");
}

TEST_F(MqttConnectorTls, without_the_name_check_the_ca_is_enough) {
    use_tls("127.0.0.2", broker_->ports().tls);
    settings_.bridge("server_name_check", false);
    expect_delivery();
}

TEST_F(MqttConnectorTls, a_client_certificate_is_shown) {
    use_tls("localhost", broker_->ports().mutual);
    settings_.bridge("certificate", broker_->certificate("device-0001.crt"));
    settings_.bridge("key", broker_->certificate("device-0001.key"));
    expect_delivery();
}

TEST_F(MqttConnectorTls, a_missing_client_certificate_is_told) {
    use_tls("localhost", broker_->ports().mutual);
    expect_failure("certificate");
}

TEST_F(MqttConnectorTls, a_port_without_tls_is_told) {
    use_tls("127.0.0.1", broker_->ports().plain);
    settings_.bridge("connect_timeout", std::int64_t{2000});
    expect_failure("the TLS handshake failed");
}

TEST_F(MqttConnectorTls, a_file_that_vanishes_is_named_at_the_next_attempt) {
    use_tls("localhost", broker_->ports().tls);
    const std::string copy = broker_->certificate("copy.crt");
    ASSERT_EQ(std::rename(broker_->certificate("wrong-ca.crt").c_str(), copy.c_str()), 0);
    settings_.bridge("ca_file", copy);
    start();
    ASSERT_TRUE(feeder_.wait_down());
    ASSERT_EQ(std::rename(copy.c_str(), broker_->certificate("wrong-ca.crt").c_str()), 0);
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.downs_.back().find("ca_file: ") != std::string::npos; }))
        << last_down();
    EXPECT_NE(last_down().find("No such file"), std::string::npos) << last_down();
}

}  // namespace
}  // namespace sluice::bridge::test
