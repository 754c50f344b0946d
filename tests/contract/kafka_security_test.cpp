/// TLS and SASL of the kafka connector, against a front that ends both before the mock cluster.
#include <nlohmann/json.hpp>

#include "tests/contract/security_fixture.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

constexpr std::int64_t plain = 1, scram_sha_256 = 2, scram_sha_512 = 3, oauthbearer = 4;
constexpr std::int64_t event_hubs = 0, confluent_cloud = 1, msk_scram = 2, msk_tls = 3;

std::string base64url(const std::string& text) {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const unsigned char c : text) {
        bits = (bits << 8) | c;
        for (count += 8; count >= 6; count -= 6) out += digits[(bits >> (count - 6)) & 63];
    }
    if (count > 0) out += digits[(bits << (6 - count)) & 63];
    return out;
}

/// An unsigned token. `mark` makes it another one.
std::string make_token(seconds life, const std::string& sub = "gateway", const std::string& mark = "a") {
    const auto exp =
        std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()) + life;
    const nlohmann::json claims{{"sub", sub}, {"exp", exp.count()}, {"jti", mark}};
    return base64url(R"({"alg":"none"})") + "." + base64url(claims.dump()) + ".";
}

class KafkaSecurity : public SecurityFixture {
  protected:
    void SetUp() override {
        if (!use_quietly("kafka")) GTEST_SKIP() << why_;
        peer_->configure_place(settings_, place_);
    }
    void start_front(const Strings& options) {
        Strings command{"python3", SLUICE_SOURCE_DIR "/tests/tools/kafka_front.py", peer_->address()};
        command.insert(command.end(), options.begin(), options.end());
        front_ = std::make_unique<sluice::test::ChildProcess>(command);
        const auto address = front_->read_line(seconds(30));
        ASSERT_TRUE(address);
        settings_.bridge("servers", Strings{*address});
    }
    void start_tls_front(const std::string& certificate = "server", Strings options = {}) {
        const Strings tls{"--tls", certificate_file(certificate + ".crt"),
                          certificate_file(certificate + ".key")};
        options.insert(options.begin(), tls.begin(), tls.end());
        start_front(options);
    }
    /// The front takes user "gateway" with the password "hunter2-good".
    void start_sasl_front(const Strings& mechanisms) {
        write_file(folder_.file("password"), "hunter2-good\n");
        Strings options{"--user", "gateway", "--password-file", folder_.file("password"), "--sasl"};
        options.insert(options.end(), mechanisms.begin(), mechanisms.end());
        start_tls_front("server", options);
        trust();
    }
    void trust() { settings_.bridge("ca_file", certificate_file("ca.crt")); }
    void show_certificate(const std::string& name) {
        settings_.bridge("certificate", certificate_file(name + ".crt"));
        settings_.bridge("key", certificate_file(name + ".key"));
    }
    void log_in(std::int64_t mechanism, const std::string& password = "hunter2-good") {
        settings_.bridge("sasl", mechanism);
        settings_.bridge("user", std::string("gateway"));
        settings_.bridge("password", password);
    }
    std::string write_token(const std::string& token) {
        secrets_.push_back(token);
        write_file(folder_.file("token"), token + "\n");
        return token;
    }
    nlohmann::json report() { return nlohmann::json::parse(front_->ask("report")); }
    bool wait_up_again() {
        const auto ups = feeder_.read([&] { return feeder_.ups_; });
        return feeder_.wait([&] { return feeder_.ups_ > ups; }, seconds(40));
    }
    /// The front sees this token when it makes the client log in anew.
    bool wait_token(const std::string& token) {
        const auto deadline = std::chrono::steady_clock::now() + seconds(40);
        while (std::chrono::steady_clock::now() < deadline) {
            front_->ask("drop");
            if (report()["token"] == token) return true;
            feeder_.wait([] { return false; }, milliseconds(200));  // the time of a look
        }
        return false;
    }

    SecurityFolder folder_;
    std::unique_ptr<sluice::test::ChildProcess> front_;
};

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

TEST_F(KafkaSecurity, each_mechanism_with_a_password) {
    const std::pair<std::int64_t, const char*> all[] = {
        {plain, "PLAIN"}, {scram_sha_256, "SCRAM-SHA-256"}, {scram_sha_512, "SCRAM-SHA-512"}};
    start_sasl_front({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"});
    for (const auto& [mechanism, name] : all) {
        log_in(mechanism);
        start();
        ASSERT_TRUE(feeder_.wait([&] { return feeder_.epoch_ != 0; }, seconds(20))) << name << last_down();
        EXPECT_EQ(report()["mechanism"], name);
        connector_->stop(milliseconds(100));
        feeder_.on_down("next");
    }
    log_in(scram_sha_512);
    expect_delivery();
}

TEST_F(KafkaSecurity, a_wrong_password_is_told_without_it) {
    start_sasl_front({"PLAIN"});
    log_in(plain, "hunter2-wrong");
    expect_down("authentication failed: ");
    EXPECT_NE(last_down().find("Invalid username or password"), std::string::npos) << last_down();
}

TEST_F(KafkaSecurity, a_wrong_scram_password_is_told_without_it) {
    start_sasl_front({"SCRAM-SHA-512"});
    log_in(scram_sha_512, "hunter2-wrong");
    expect_down("authentication failed: ");
}

TEST_F(KafkaSecurity, a_mechanism_that_the_cluster_does_not_have_is_told) {
    start_sasl_front({"SCRAM-SHA-512"});
    log_in(plain);
    expect_down("SCRAM-SHA-512");
}

TEST_F(KafkaSecurity, a_token_from_a_file_is_replaced_when_the_file_is) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_file", folder_.file("token"));
    const auto first = write_token(make_token(seconds(3600)));
    expect_delivery();
    EXPECT_EQ(report()["token"], first);
    EXPECT_TRUE(wait_token(write_token(make_token(seconds(3600), "gateway", "b"))));
}

TEST_F(KafkaSecurity, a_token_from_a_command_is_renewed_before_it_expires) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_command", Strings{"/bin/cat", folder_.file("token")});
    write_token(make_token(seconds(5)));
    expect_delivery();
    EXPECT_TRUE(wait_token(write_token(make_token(seconds(3600), "gateway", "b"))));
}

TEST_F(KafkaSecurity, a_token_that_is_not_accepted_is_told_without_it) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_file", folder_.file("token"));
    write_token(make_token(seconds(3600), "somebody"));
    expect_down("authentication failed: ");
}

TEST_F(KafkaSecurity, what_is_wrong_with_the_source_of_tokens_is_told) {
    start_sasl_front({"OAUTHBEARER"});
    settings_.bridge("sasl", oauthbearer);
    settings_.bridge("token_file", folder_.file("token"));
    const auto wait_reason = [&](const std::string& part) {
        return feeder_.wait(
            [&] { return !feeder_.downs_.empty() && feeder_.downs_.back().find(part) != std::string::npos; });
    };
    start();
    EXPECT_TRUE(wait_reason("token_file " + folder_.file("token") + ": No such file")) << last_down();
    write_token(make_token(seconds(-100)));
    EXPECT_TRUE(wait_reason(": the token has expired 1")) << last_down();
    write_token("hunter2 is no token");
    EXPECT_TRUE(wait_reason(": that is no token")) << last_down();
    write_file(folder_.file("token"), "\n");
    EXPECT_TRUE(wait_reason(": there is no token")) << last_down();
    write_token(make_token(seconds(3600)));
    EXPECT_TRUE(feeder_.wait_up()) << last_down();
    // From here on it goes on with the token that it has, and says so.
    write_file(folder_.file("token"), "\n");
    EXPECT_TRUE(feeder_.wait([&] {
        return !feeder_.stalls_.empty() &&
               feeder_.stalls_.back().find("there is no token") != std::string::npos;
    }));
    write_token(make_token(seconds(3600), "gateway", "b"));
    EXPECT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); }));
}

TEST_F(KafkaSecurity, what_is_wrong_with_a_command_is_told) {
    const std::pair<Strings, const char*> all[] = {
        {{"/no/such/program"}, "token_command /no/such/program: the command cannot be run: No such file"},
        {{"/bin/sh", "-c", "echo hunter2; exit 3"}, "token_command /bin/sh: the command ended with status 3"},
        {{"/bin/sh", "-c", "kill -TERM $$"}, "the command was ended by signal 15"},
        {{"/bin/sh", "-c", "yes hunter2 | head -c 100000"}, "the command prints more than 64 KiB"}};
    for (const auto& [command, expected] : all) {
        settings_.bridge("sasl", oauthbearer);
        settings_.bridge("token_command", command);
        const auto before = feeder_.read([&] { return feeder_.downs_.size(); });
        start();
        ASSERT_TRUE(feeder_.wait_down(before));
        EXPECT_NE(last_down().find(expected), std::string::npos) << last_down();
        connector_->stop(milliseconds(100));
    }
}

TEST_F(KafkaSecurity, stop_does_not_wait_for_a_command_and_leaves_nothing_of_it) {
    settings_.bridge("sasl", oauthbearer);
    // The second process is of the command's group.
    settings_.bridge("token_command",
                     Strings{"/bin/sh", "-c", "echo $$ > " + folder_.file("pid") + "; sleep 600"});
    start();
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    int pid = 0;
    while (pid == 0 && std::chrono::steady_clock::now() < deadline) {
        std::ifstream(folder_.file("pid")) >> pid;
        feeder_.wait([] { return false; }, milliseconds(10));
    }
    ASSERT_GT(pid, 0);
    const auto begin = std::chrono::steady_clock::now();
    connector_->stop(milliseconds(100));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(2000));
    const auto gone = [&] { return ::kill(-pid, 0) != 0; };
    while (!gone() && std::chrono::steady_clock::now() < deadline)
        feeder_.wait([] { return false; }, milliseconds(10));
    EXPECT_TRUE(gone());
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
