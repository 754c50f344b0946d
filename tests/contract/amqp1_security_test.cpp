/// TLS and SASL of the amqp1 connector, and a real RabbitMQ.
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "tests/contract/amqp1_fixture.hpp"
#include "tests/contract/amqp_peer.hpp"
#include "tests/support/run_command.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;

std::string make_folder(const std::string& name) {
    std::string folder = (std::filesystem::temp_directory_path() / (name + "-XXXXXX")).string();
    if (!::mkdtemp(folder.data())) throw std::runtime_error("mkdtemp");
    return folder;
}

class Amqp1Security : public Amqp1Fixture {
  protected:
    static void SetUpTestSuite() {
        folder_ = make_folder("sluice-amqp1");
        const auto made = sluice::test::run_command({SLUICE_SOURCE_DIR "/certs/make-dev-certs", "--out",
                                                     folder_, "--with-wrong-ca", "--devices", "1"});
        if (made.exit_code != 0) throw std::runtime_error("make-dev-certs: " + made.err);
    }
    static void TearDownTestSuite() {
        std::error_code error;
        std::filesystem::remove_all(folder_, error);
    }
    static std::string file(const std::string& name) { return folder_ + "/" + name; }

    void use_server(std::vector<std::string> options, const std::string& host = "127.0.0.1") {
        server_ = std::make_unique<Amqp1Peer>(std::move(options), host);
        server_->configure(settings_);
        server_->configure_place(settings_, place_);
    }
    void use_tls_server(std::vector<std::string> more = {}, const std::string& host = "127.0.0.1") {
        more.insert(more.end(), {"--certificate", file("server.crt"), "--key", file("server.key")});
        use_server(more, host);
        settings_.bridge("ca_file", file("ca.crt"));
    }
    void expect_delivery() {
        start();
        ASSERT_TRUE(feeder_.wait([&] { return feeder_.epoch_ != 0 || !feeder_.downs_.empty(); }));
        publish_numbers(0, 20);
        ASSERT_TRUE(feeder_.wait([&] { return feeder_.confirmed_.size() == 20 || !feeder_.downs_.empty(); }));
        EXPECT_EQ(downs(), 0U) << last_down();
        EXPECT_EQ(payloads(server_->receive(place_, 20)), numbers(0, 20));
    }
    void expect_down(const std::string& part) {
        start();
        ASSERT_TRUE(feeder_.wait_down());
        EXPECT_NE(last_down().find(part), std::string::npos) << last_down();
        EXPECT_NE(last_down().find(server_->address()), std::string::npos) << last_down();
        EXPECT_EQ(feeder_.read([&] { return feeder_.ups_; }), 0U);
    }
    void TearDown() override {
        Amqp1Fixture::TearDown();
        server_.reset();
    }

    static inline std::string folder_;
    std::unique_ptr<Amqp1Peer> server_;
};

TEST_F(Amqp1Security, tls_with_the_right_ca) {
    use_tls_server();
    expect_delivery();
    const std::string large(2'000'000, 'x');  // more than the sockets' buffers
    for (int i = 0; i < 5; ++i) feeder_.publish_text(0, "plant/a", large);
    ASSERT_TRUE(feeder_.wait_confirmed(25)) << last_down();
    EXPECT_EQ(server_->receive(place_, 25).back().payload, Amqp1Peer::digest(large));
}

TEST_F(Amqp1Security, a_frozen_server_is_noticed_through_tls) {
    use_tls_server();
    start();
    ASSERT_TRUE(feeder_.wait_up());
    server_->freeze();
    publish_numbers(0, 20);
    EXPECT_TRUE(feeder_.wait_down());
    server_->thaw();
    EXPECT_NE(last_down().find("no sign of life"), std::string::npos) << last_down();
    ASSERT_TRUE(feeder_.wait_confirmed(20)) << last_down();
}

TEST_F(Amqp1Security, the_wrong_ca_is_named) {
    use_tls_server();
    settings_.bridge("ca_file", file("wrong-ca.crt"));
    expect_down("the server's certificate is not signed by a CA in " + file("wrong-ca.crt"));
}

TEST_F(Amqp1Security, the_wrong_host_is_named) {
    use_tls_server({}, "127.0.0.2");
    expect_down("the server's certificate is not for '127.0.0.2'");
}

TEST_F(Amqp1Security, the_check_of_the_host_can_be_turned_off_the_one_of_the_ca_stays) {
    use_tls_server({}, "127.0.0.2");
    settings_.bridge("server_name_check", false);
    expect_delivery();
    connector_->stop(milliseconds(100));
    settings_.bridge("ca_file", file("wrong-ca.crt"));
    start();
    EXPECT_TRUE(feeder_.wait_down());
    EXPECT_NE(last_down().find("not signed by a CA"), std::string::npos) << last_down();
}

TEST_F(Amqp1Security, tls_to_a_plain_port_and_plain_to_a_tls_port_fail_with_a_reason) {
    use_server({});
    settings_.bridge("ca_file", file("ca.crt"));
    expect_down("TLS");
    connector_->stop(milliseconds(100));
    use_tls_server();
    settings_.bridge("ca_file", std::string());
    const auto before = downs();
    start();
    ASSERT_TRUE(feeder_.wait_down(before));
    EXPECT_NE(last_down().find(server_->address()), std::string::npos) << last_down();
}

TEST_F(Amqp1Security, a_missing_file_is_named_by_create) {
    use_tls_server();
    settings_.bridge("ca_file", file("nosuch.crt"));
    const auto created = settings_.module->create(settings_.spec);
    ASSERT_FALSE(created.ok());
    EXPECT_NE(created.error().find("test.toml:1: ca_file: " + file("nosuch.crt")), std::string::npos)
        << created.error();
}

TEST_F(Amqp1Security, external_is_the_name_in_the_certificate) {
    use_tls_server({"--user", "x:y", "--client-ca", file("ca.crt")});
    settings_.bridge("certificate", file("device-0001.crt"));
    settings_.bridge("key", file("device-0001.key"));
    expect_delivery();
}

TEST_F(Amqp1Security, a_client_certificate_that_is_not_trusted_is_told) {
    use_tls_server({"--user", "x:y", "--client-ca", file("ca.crt")});
    settings_.bridge("certificate", file("wrong-device.crt"));
    settings_.bridge("key", file("wrong-device.key"));
    expect_down("closed the connection before it let us in");
}

TEST_F(Amqp1Security, plain_with_the_right_password) {
    use_server({"--user", "gateway:s3cret"});
    settings_.bridge("user", std::string("gateway"));
    settings_.bridge("password", std::string("s3cret"));
    expect_delivery();
}

TEST_F(Amqp1Security, a_wrong_password_is_told_without_the_password) {
    use_server({"--user", "gateway:s3cret"});
    settings_.bridge("user", std::string("gateway"));
    settings_.bridge("password", std::string("hunter2"));
    expect_down("does not let user 'gateway' in");
    EXPECT_EQ(last_down().find("hunter2"), std::string::npos);
}

TEST_F(Amqp1Security, a_server_that_wants_a_password_is_told_apart) {
    use_server({"--user", "gateway:s3cret"});
    expect_down("does not let us in");
}

/// The plain flow, against somebody else's server. Its addresses are those of the plugin before RabbitMQ 4.
TEST_F(Amqp1Security, rabbitmq_takes_and_gives_messages) {
    const std::string folder = make_folder("sluice-rabbitmq");
    auto process = std::make_unique<sluice::test::ChildProcess>(
        std::vector<std::string>{"python3", SLUICE_SOURCE_DIR "/tests/tools/rabbitmq_node.py", folder,
                                 "--plugins", "rabbitmq_amqp1_0"});
    const std::string line = process->read_line(std::chrono::seconds(150)).value_or("no answer");
    int port = 0;
    if (std::sscanf(line.c_str(), "ready amqp=%d", &port) != 1)
        GTEST_SKIP() << "the RabbitMQ node did not start (is rabbitmq-server installed?): " << line;
    AmqpPeer node(std::move(process), {.plain = port, .tls = 0, .frail = {}}, folder);
    AmqpClient(port).make_queue("up", "amq.topic", "plant.#");
    AmqpClient(port).make_queue("down", "amq.topic", "commands.#");
    settings_.bridge("servers", std::vector<std::string>{node.address()});
    settings_.bridge("user", std::string("guest"));
    settings_.bridge("password", std::string("guest"));
    settings_.route("address", std::string("/exchange/amq.topic/{topic}"));
    settings_.spec.routes.push_back({"x/#", "test.toml:9", settings_.module->make_route_settings()});
    settings_.route("address", std::string("/exchange/amq.topic/commands.{topic}"), 1);
    settings_.add_down();
    settings_.down("address", std::string("/amq/queue/down"));
    start();
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.epoch_ != 0 || !feeder_.downs_.empty(); }));
    for (int i = 0; i < 500; ++i) feeder_.publish_text(0, "plant/a b", std::to_string(i));
    ASSERT_TRUE(feeder_.wait_confirmed(500)) << last_down() << last_stall();
    const auto all = node.receive("up", 500);
    EXPECT_EQ(payloads(all), numbers(0, 500));
    EXPECT_EQ(all[0].key, "plant.a%20b") << "before RabbitMQ 4 nobody undoes the percent-encoding";
    core::Message::Fields fields;
    fields.topic = "x/1";
    fields.payload = as_bytes(std::string_view("stop"));
    fields.received = Feeder::now();
    feeder_.publish(1, 1, core::Message::freeze(fields));
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.incoming_.size() == 1; }, std::chrono::seconds(20)))
        << last_source();
    const auto incoming = feeder_.read([&] { return feeder_.incoming_.front(); });
    EXPECT_EQ(incoming.payload, "stop");
    EXPECT_EQ(incoming.mqtt_topic, "x/1");
    connector_->settle({{incoming.token, true, ""}});
    connector_->stop(milliseconds(500));
    Received rest;
    EXPECT_FALSE(AmqpClient(port).get("down", rest)) << "it was not accepted";
    EXPECT_EQ(downs(), 0U) << last_down();
}

}  // namespace
}  // namespace sluice::bridge::test
