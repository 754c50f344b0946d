/// Mosquitto's clients over TCP and TLS: who is let in, who is refused, and what the log says about it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/mosquitto.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

/// Four doors: plain, TLS for all, TLS with a certificate from everybody, plain with passwords.
enum Door : std::size_t { plain, optional_certificate, required_certificate, password };

class Tls : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        certs_ = std::make_unique<TempFolder>();
        make_certs(certs_->path());
    }
    static void TearDownTestSuite() { certs_.reset(); }
    static void make_certs(const fs::path& folder) {
        const auto made = run_command({source("certs/make-dev-certs"), "--out", folder, "--devices", "1",
                                       "--with-wrong-ca", "--with-expired"});
        ASSERT_EQ(made.exit_code, 0) << made.err;
    }

    void SetUp() override {
        fs::copy(certs_->path(), folder_.path(), fs::copy_options::recursive);
        set_password("word");
        ASSERT_TRUE(broker_.start(config())) << broker_.log();
    }

    std::string config() const {
        const std::string tls =
            "[listener.tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\nclient_ca = \"ca.crt\"\n"
            "identity = \"common_name\"\nclient_certificate = ";
        const std::string door = "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n";
        return "[broker]\ndata_dir = \"data\"\n" + door + "anonymous = true\n" + door + "anonymous = true\n" +
               tls + "\"optional\"\n" + door + tls + "\"required\"\n" + door +
               "[auth]\npassword_file = \"passwd\"\n";
    }
    void set_password(const std::string& word) const {
        ASSERT_EQ(run_command({"mosquitto_passwd", "-b", "-c", file("passwd"), "user", word}).exit_code, 0)
            << "is the package mosquitto installed?";
    }
    std::string file(const std::string& name) const { return (folder_.path() / name).string(); }
    Words at(Door door) const {
        return {"-h", "localhost", "-p", std::to_string(broker_.port(door)), "-V", "mqttv5"};
    }
    Words ca(const std::string& name = "ca") const { return {"--cafile", file(name + ".crt")}; }
    Words certificate(const std::string& name) const {
        return {"--cert", file(name + ".crt"), "--key", file(name + ".key")};
    }
    static Words message(const std::string& text, const std::string& topic = "a/b/c") {
        return {"-q", "1", "-t", topic, "-m", text};
    }
    /// A filter with both wildcards, from `from`; then a message by `to`.
    void expect_exchange(const Words& from, const Words& to) {
        MosquittoSub subscriber(from + Words{"-q", "1", "-t", "a/+/#"});
        ASSERT_TRUE(subscriber.subscribed()) << broker_.log();
        const auto sent = mosquitto_pub(to + message("hello"));
        EXPECT_EQ(sent.exit_code, 0) << sent.err << broker_.log();
        EXPECT_EQ(subscriber.next(), "a/b/c hello");
    }
    /// Nobody is let in, and the log says why.
    void expect_refused(const Words& options, const std::string& reason) {
        const auto sent = mosquitto_pub(options + message("no"));
        EXPECT_NE(sent.exit_code, 0);
        EXPECT_FALSE(sent.timed_out);
        EXPECT_TRUE(broker_.wait_for_log(reason, std::chrono::seconds(5))) << broker_.log();
    }
    /// What the TLS port shows now.
    std::string served_certificate() const {
        return run_command({"sh", "-c",
                            "openssl s_client -connect localhost:" +
                                std::to_string(broker_.port(optional_certificate)) +
                                " </dev/null 2>/dev/null | openssl x509 -noout -fingerprint"})
            .out;
    }

    static inline std::unique_ptr<TempFolder> certs_;
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Tls, wildcards_over_tcp) {
    expect_exchange(at(plain), at(plain));
}

TEST_F(Tls, wildcards_over_tls_without_client_certificate) {
    expect_exchange(at(optional_certificate) + ca(), at(plain));
    EXPECT_THAT(broker_.log(), HasSubstr("TLSv1."));
}

TEST_F(Tls, wildcards_over_tls_with_client_certificate) {
    const Words device = at(required_certificate) + ca() + certificate("device-0001");
    expect_exchange(device, device);
    EXPECT_THAT(broker_.log(), HasSubstr("user='device-0001'"));
}

TEST_F(Tls, client_that_does_not_trust_us_is_logged) {
    expect_refused(at(optional_certificate) + ca("wrong-ca"), "the client does not trust our certificate");
}

TEST_F(Tls, certificate_of_another_ca_is_refused) {
    expect_refused(at(required_certificate) + ca() + certificate("wrong-device"), "not signed by");
}

TEST_F(Tls, missing_client_certificate_is_refused) {
    expect_refused(at(required_certificate) + ca(), "no certificate");
}

// It must not become nobody, and so anonymous: this door lets anonymous clients in.
TEST_F(Tls, certificate_without_a_usable_name_is_refused) {
    for (const auto& [file_name, subject] :
         {std::pair("nameless", "/O=Example"), std::pair("two-names", "/CN=one/CN=two")}) {
        const auto made = run_command(
            {"sh", "-c",
             fmt::format("cd '{0}' && openssl req -newkey rsa:2048 -nodes -keyout {1}.key -subj '{2}' "
                         "-out {1}.csr 2>/dev/null && openssl x509 -req -in {1}.csr -CA ca.crt -CAkey ca.key "
                         "-CAcreateserial -days 2 -out {1}.crt",
                         folder_.path().string(), file_name, subject)});
        ASSERT_EQ(made.exit_code, 0) << made.err;
        expect_refused(at(optional_certificate) + ca() + certificate(file_name),
                       "its certificate has no usable common name; listener.tls.identity expects");
    }
}

TEST_F(Tls, expired_client_certificate_is_refused) {
    expect_refused(at(required_certificate) + ca() + certificate("expired-device"), "expired");
}

TEST_F(Tls, plain_mqtt_to_the_tls_port_is_refused) {
    expect_refused(at(required_certificate), "not TLS");
}

TEST_F(Tls, wrong_password_is_refused) {
    expect_refused(at(password) + Words{"-u", "user", "-P", "guess"}, "password");
    expect_refused(at(password), "refused");
}

TEST_F(Tls, hangup_swaps_certificate_and_passwords_and_drops_nobody) {
    MosquittoSub subscriber(at(optional_certificate) + ca() + Words{"-q", "1", "-t", "a/+/#"});
    ASSERT_TRUE(subscriber.subscribed());
    const std::string before = served_certificate();
    ASSERT_THAT(before, HasSubstr("Fingerprint"));
    EXPECT_EQ(
        mosquitto_pub(at(password) + Words{"-u", "user", "-P", "word"} + message("x", "other")).exit_code, 0)
        << broker_.log();

    fs::remove(file("server.crt"));
    make_certs(folder_.path());  // the same CA signs a new one
    set_password("changed");
    broker_.signal(SIGHUP);
    ASSERT_TRUE(broker_.wait_for_log("were read again")) << broker_.log();

    EXPECT_NE(served_certificate(), before);
    EXPECT_EQ(
        mosquitto_pub(at(password) + Words{"-u", "user", "-P", "changed"} + message("x", "other")).exit_code,
        0)
        << broker_.log();
    EXPECT_NE(
        mosquitto_pub(at(password) + Words{"-u", "user", "-P", "word"} + message("x", "other")).exit_code, 0);
    EXPECT_EQ(mosquitto_pub(at(optional_certificate) + ca() + message("after")).exit_code, 0)
        << broker_.log();
    EXPECT_EQ(subscriber.next(), "a/b/c after");
    EXPECT_FALSE(subscriber.has_reconnected());
}

TEST_F(Tls, hangup_takes_certificates_from_other_files_and_tells_what_must_wait) {
    const std::string before = served_certificate();
    ASSERT_THAT(before, HasSubstr("Fingerprint"));
    fs::create_directory(folder_.path() / "next");
    make_certs(folder_.path() / "next");
    std::string changed = config();
    for (const std::string name : {"server.crt", "server.key"}) {
        for (std::size_t at = 0; (at = changed.find('"' + name, at)) != std::string::npos;)
            changed.replace(at, 1, "\"next/");
    }
    broker_.write_config(changed + "[durability]\nwindow = \"50ms\"\n");
    broker_.signal(SIGHUP);
    ASSERT_TRUE(broker_.wait_for_log("were read again")) << broker_.log();
    EXPECT_NE(served_certificate(), before);
    EXPECT_THAT(served_certificate(), HasSubstr("Fingerprint"));
    EXPECT_THAT(broker_.log(), HasSubstr("take effect at the next restart: durability.window\n"));
}

TEST_F(Tls, hangup_with_a_broken_certificate_keeps_the_old_one) {
    const std::string before = served_certificate();
    fs::resize_file(file("server.crt"), 100);
    broker_.signal(SIGHUP);
    ASSERT_TRUE(broker_.wait_for_log("the old certificate stays in force")) << broker_.log();
    EXPECT_EQ(served_certificate(), before);
    EXPECT_THAT(before, HasSubstr("Fingerprint"));
}

}  // namespace
}  // namespace sluice::test
