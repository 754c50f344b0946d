#pragma once
/// The kafka connector against a front that ends TLS and SASL before the mock cluster.
#include <nlohmann/json.hpp>

#include "tests/contract/security_fixture.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

// The choices of `sasl` and `preset` by their index.
constexpr std::int64_t plain = 1, scram_sha_256 = 2, scram_sha_512 = 3, oauthbearer = 4;
constexpr std::int64_t event_hubs = 0, confluent_cloud = 1, msk_scram = 2, msk_tls = 3;

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
    nlohmann::json report() { return nlohmann::json::parse(front_->ask("report")); }

    SecurityFolder folder_;
    std::unique_ptr<sluice::test::ChildProcess> front_;
};

}  // namespace sluice::bridge::test
