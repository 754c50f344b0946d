/// TLS, presets and impossible keys of the kafka connector.
#include "tests/contract/kafka_front.hpp"

namespace sluice::bridge::test {
namespace {

TEST_F(KafkaSecurity, tls_with_a_ca) {
    start_tls_front();
    trust();
    expect_delivery();
}

TEST_F(KafkaSecurity, a_server_of_an_unknown_ca_is_told) {
    start_tls_front();
    settings_.bridge("ca_file", certificate_file("wrong-ca.crt"));
    expect_down("the server's certificate is not accepted: ");
}

TEST_F(KafkaSecurity, the_cas_of_the_system_do_not_know_ours) {
    start_tls_front();
    settings_.bridge("tls", true);
    expect_down("the server's certificate is not accepted: ");
}

TEST_F(KafkaSecurity, a_certificate_of_another_host_is_told) {
    start_tls_front("elsewhere");
    trust();
    expect_down("the server's certificate does not name this host");
}

TEST_F(KafkaSecurity, without_the_name_check_a_certificate_of_another_host_will_do) {
    start_tls_front("elsewhere");
    trust();
    settings_.bridge("server_name_check", false);
    expect_delivery();
}

TEST_F(KafkaSecurity, a_plain_port_is_told) {
    start_front({});
    trust();
    expect_down("TLS failed, perhaps this port of the server has none: ");
}

/// To whoever connects it says the same, until its input ends.
constexpr const char* web_server = R"(
import socket, sys, threading
server, links = socket.create_server(("127.0.0.1", 0)), []
def serve():
    while True:
        links.append(server.accept()[0])
        links[-1].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
threading.Thread(target=serve, daemon=True).start()
print("127.0.0.1:%d" % server.getsockname()[1], flush=True)
sys.stdin.read()
)";

TEST_F(KafkaSecurity, the_port_of_another_server_is_told) {
    front_ = std::make_unique<sluice::test::ChildProcess>(Strings{"python3", "-c", web_server});
    const auto address = front_->read_line(seconds(30));
    ASSERT_TRUE(address);
    settings_.bridge("servers", Strings{*address});
    expect_down("no answer of a Kafka server, perhaps its port wants `tls` or is another server's: ");
}

TEST_F(KafkaSecurity, a_tls_port_is_told) {
    start_tls_front();
    settings_.bridge("tls", false);
    expect_down("the server hung up, perhaps its port wants `tls` or `sasl`: ");
}

TEST_F(KafkaSecurity, mutual_tls) {
    start_tls_front("server", {"--client-ca", certificate_file("ca.crt")});
    trust();
    show_certificate("device-0001");
    expect_delivery();
    EXPECT_EQ(report()["client"], "device-0001");
}

TEST_F(KafkaSecurity, an_encrypted_key) {
    start_tls_front("server", {"--client-ca", certificate_file("ca.crt")});
    trust();
    show_certificate("device-0001");
    settings_.bridge("key", certificate_file("locked.key"));
    settings_.bridge("key_password", std::string("hunter2-lock"));
    expect_delivery();
}

TEST_F(KafkaSecurity, a_missing_certificate_of_ours_is_told) {
    start_tls_front("server", {"--client-ca", certificate_file("ca.crt")});
    trust();
    expect_down("the server wants a certificate of ours (`certificate` and `key`): ");
}

TEST_F(KafkaSecurity, a_certificate_of_ours_from_an_unknown_ca_is_told) {
    start_tls_front("server", {"--client-ca", certificate_file("ca.crt")});
    trust();
    show_certificate("wrong-device");
    expect_down("the server does not know the CA of our certificate: ");
}

TEST_F(KafkaSecurity, an_expired_certificate_of_ours_is_told) {
    start_tls_front("server", {"--client-ca", certificate_file("ca.crt")});
    trust();
    show_certificate("expired-device");
    expect_down("our certificate has expired: ");
}

TEST_F(KafkaSecurity, replaced_files_count_from_the_next_connection_on) {
    start_tls_front("server", {"--client-ca", certificate_file("ca.crt")});
    trust();
    const auto put = [&](const std::string& name) {
        for (const char* ending : {".crt", ".key"})
            std::filesystem::copy_file(certificate_file(name + ending),
                                       folder_.file(std::string("our") + ending),
                                       std::filesystem::copy_options::overwrite_existing);
    };
    put("wrong-device");
    settings_.bridge("certificate", folder_.file("our.crt"));
    settings_.bridge("key", folder_.file("our.key"));
    start();
    ASSERT_TRUE(feeder_.wait_down());
    write_file(folder_.file("our.key"), "not a key");
    ASSERT_TRUE(feeder_.wait([&] { return feeder_.downs_.back().starts_with("key: "); })) << last_down();
    put("device-0002");
    ASSERT_TRUE(feeder_.wait_up()) << last_down();
    EXPECT_EQ(report()["client"], "device-0002");
}

TEST_F(KafkaSecurity, presets_lead_to_a_login) {
    start_sasl_front({"PLAIN"});
    settings_.bridge("preset", confluent_cloud);
    settings_.bridge("user", std::string("gateway"));
    settings_.bridge("password", std::string("hunter2-good"));
    expect_delivery();
}

TEST_F(KafkaSecurity, event_hubs_has_a_user_of_its_own) {
    write_file(folder_.file("password"), "Endpoint=sb://hunter2\n");
    start_tls_front("server", {"--user", "$ConnectionString", "--password-file", folder_.file("password"),
                               "--sasl", "PLAIN"});
    trust();
    settings_.bridge("preset", event_hubs);
    settings_.bridge("password", std::string("Endpoint=sb://hunter2"));
    settings_.bridge("compression", std::int64_t{1});
    expect_delivery();
}

TEST_F(KafkaSecurity, a_preset_has_its_port) {
    settings_.bridge("servers", Strings{"127.0.0.1"});
    settings_.bridge("preset", msk_scram);
    settings_.bridge("user", std::string("gateway"));
    settings_.bridge("password", std::string("hunter2"));
    expect_down("127.0.0.1:9096");
}

/// Each from nothing.
TEST_F(KafkaSecurity, create_names_what_does_not_go_together) {
    struct Case {
        std::vector<std::pair<const char*, SettingValue>> keys;
        const char* error;
    };
    const std::string none = folder_.file("none");
    const std::string ca = certificate_file("ca.crt"), key = certificate_file("device-0001.key"),
                      crt = certificate_file("device-0001.crt"), locked = certificate_file("locked.key");
    write_file(folder_.file("text"), "hunter2");
    const std::string text = folder_.file("text");
    const std::string user = "gateway", password = "hunter2";
    const Case cases[] = {
        {{{"tls", false}, {"ca_file", ca}}, "ca_file: has no meaning with tls = false"},
        {{{"tls", false}, {"server_name_check", false}},
         "server_name_check: has no meaning with tls = false"},
        {{{"certificate", crt}}, "certificate: there is no `key`; expected both or neither"},
        {{{"key", key}}, "key: there is no `certificate`; expected both or neither"},
        {{{"tls", true}, {"key_password", password}}, "key_password: there is no `key`"},
        {{{"ca_file", none}}, "ca_file: NONE: No such file or directory; expected a PEM file with CA"},
        {{{"ca_file", folder_.path()}}, ": it is a folder; expected a PEM file with CA certificates"},
        {{{"ca_file", text}},
         ": there is no PEM certificate in it; expected a PEM file with CA certificates"},
        {{{"ca_file", key}}, ": there is no PEM certificate in it; expected a PEM file with CA certificates"},
        {{{"certificate", text}, {"key", key}}, "certificate: "},
        {{{"certificate", crt}, {"key", text}},
         ": there is no PEM private key in it; expected a PEM file with"},
        {{{"certificate", crt}, {"key", certificate_file("device-0002.key")}},
         ": it is not the key of the certificate "},
        {{{"certificate", crt}, {"key", locked}}, ": it is encrypted; expected `key_password`"},
        {{{"certificate", crt}, {"key", locked}, {"key_password", password}},
         "key_password: LOCKED: the key does not open with it; expected the key's pass phrase"},
        {{{"sasl", plain}, {"password", password}},
         "user: is missing; expected a user name with sasl = \"plain\""},
        {{{"sasl", scram_sha_512}, {"user", user}},
         "password: is missing; expected one with sasl = \"scram-sha-512\""},
        {{{"user", user}}, "user: has no meaning with sasl = \"none\"; expected sasl = \"plain\""},
        {{{"password", password}}, "password: has no meaning with sasl = \"none\""},
        {{{"sasl", oauthbearer}}, "token_file: is missing; expected `token_file` or `token_command`"},
        {{{"sasl", oauthbearer}, {"token_file", text}, {"token_command", Strings{"x"}}},
         "token_command: there is a `token_file` too; expected one of the two"},
        {{{"sasl", oauthbearer}, {"token_command", Strings{""}}}, "token_command: the program is empty"},
        {{{"token_file", text}},
         "token_file: has no meaning with sasl = \"none\"; expected sasl = \"oauthbearer\""},
        {{{"sasl", oauthbearer}, {"token_file", text}, {"user", user}},
         "user: has no meaning with sasl = \"oauth"},
        {{{"preset", event_hubs}, {"password", password}, {"compression", std::int64_t{3}}},
         "compression: Event Hubs does not take it; expected \"none\" or \"gzip\""},
        {{{"preset", event_hubs}}, "password: is missing"},
        {{{"preset", event_hubs}, {"tls", false}},
         "tls: preset = \"event_hubs\" works with TLS only; expected true"},
        {{{"preset", confluent_cloud}, {"password", password}}, "user: is missing"},
        {{{"preset", msk_scram}, {"sasl", plain}},
         "sasl: \"plain\" is not possible with preset = \"msk_scram\"; expected \"scram-sha-512\", or no "
         "preset"},
        {{{"preset", msk_tls}}, "certificate: is missing; expected it with preset = \"msk_tls\""},
        {{{"tls", true}, {"options", Strings{"security.protocol=plaintext"}}},
         "options: 'security.protocol' does not go together with keys such as `tls`"},
        {{{"tls", true}, {"options", Strings{"ssl.ca.location=x"}}},
         "options: 'ssl.ca.location' does not go"},
    };
    for (const Case& one : cases) {
        settings_.spec.settings = settings_.module->make_bridge_settings();
        peer_->configure(settings_);
        for (const auto& [name, value] : one.keys) settings_.bridge(name, value);
        std::string expected = one.error;
        if (const auto at = expected.find("NONE"); at != std::string::npos) expected.replace(at, 4, none);
        if (const auto at = expected.find("LOCKED"); at != std::string::npos) expected.replace(at, 6, locked);
        const std::string error = create_error();
        EXPECT_TRUE(error.starts_with("test.toml:1: ")) << expected << ": " << error;
        EXPECT_NE(error.find(expected), std::string::npos) << expected << "\n" << error;
        EXPECT_NE(error.find("; expected "), std::string::npos) << error;
    }
}

TEST_F(KafkaSecurity, options_may_still_speak_of_security_alone) {
    start_tls_front();
    settings_.bridge("options",
                     Strings{"security.protocol=ssl", "ssl.ca.location=" + certificate_file("ca.crt")});
    expect_delivery();
}

}  // namespace
}  // namespace sluice::bridge::test
