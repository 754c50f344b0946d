#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/net/tls_support.hpp"

namespace sluice::net {
namespace {

using test::cert;
using test::read_text;
using test::server_settings;
using test::temporary_file;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string load_error(const TlsSettings& settings) {
    const auto context = TlsContext::load(settings);
    return context ? "no error" : context.error();
}

TEST(TlsFiles, GoodOnesLoad) {
    EXPECT_EQ(load_error(server_settings()), "no error");
    EXPECT_EQ(load_error(server_settings(ClientCertificate::required)), "no error");
}

TEST(TlsFiles, EachFaultNamesTheSettingAndTheFile) {
    TlsSettings s = server_settings();
    s.certificate = "";
    EXPECT_EQ(load_error(s), "tls.certificate is not set: a PEM file is needed");
    s = server_settings();
    s.certificate = "/nowhere/server.crt";
    EXPECT_EQ(load_error(s), "tls.certificate = \"/nowhere/server.crt\": there is no such file");
    s.certificate = "/tmp";
    EXPECT_EQ(load_error(s), "tls.certificate = \"/tmp\": is a folder, a PEM file is needed");
    s.certificate = temporary_file("empty.crt", "");
    EXPECT_EQ(load_error(s), "tls.certificate = \"" + s.certificate + "\": is empty");
    s.certificate = temporary_file("text.crt", "hello");
    EXPECT_EQ(load_error(s), "tls.certificate = \"" + s.certificate +
                                 "\": is not PEM: there is no line \"-----BEGIN CERTIFICATE-----\"");
    s.certificate = cert("server.key");
    EXPECT_THAT(load_error(s), HasSubstr("holds a private key, but a certificate is needed here"));
    std::string damaged = read_text(cert("server.crt"));
    damaged.replace(damaged.size() / 2, 8, "AAAAAAAA");
    s.certificate = temporary_file("damaged.crt", damaged.substr(0, 300) + damaged.substr(400));
    EXPECT_THAT(load_error(s),
                StartsWith("tls.certificate = \"" + s.certificate + "\": holds a damaged certificate"));
}

TEST(TlsFiles, KeysThatDoNotFit) {
    TlsSettings s = server_settings();
    s.key = cert("device-0001.key");
    EXPECT_EQ(load_error(s), "tls.key = \"" + s.key +
                                 "\": does not belong to the first certificate in tls.certificate = \"" +
                                 s.certificate + "\"");
    s.key = cert("server.crt");
    EXPECT_THAT(load_error(s), HasSubstr("holds a certificate, but a private key is needed here"));
    s.key =
        temporary_file("encrypted.key",
                       "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    EXPECT_THAT(load_error(s), HasSubstr("is protected by a pass phrase"));
    s.key = temporary_file("damaged.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    EXPECT_THAT(load_error(s), HasSubstr("holds a damaged private key"));
    s.key = "";
    EXPECT_EQ(load_error(s), "tls.key is not set: a PEM file is needed");
}

TEST(TlsFiles, UnreadableFile) {
    TlsSettings s = server_settings();
    s.key = "/etc/passwd/server.key";
    EXPECT_EQ(load_error(s), "tls.key = \"/etc/passwd/server.key\": cannot be read: Not a directory");
    s.key = temporary_file("secret.key", "x");
    ::chmod(s.key.c_str(), 0);
    if (::geteuid() != 0) {  // root reads everything
        EXPECT_EQ(load_error(s), "tls.key = \"" + s.key + "\": cannot be read: Permission denied");
    }
}

TEST(TlsFiles, ExpiredCertificate) {
    const test::Made made = test::make_certificate("CN=localhost,O=x", "20210131120000");
    TlsSettings s = server_settings();
    s.certificate = made.certificate;
    s.key = made.key;
    EXPECT_EQ(load_error(s),
              "tls.certificate = \"" + s.certificate + "\": the certificate expired on 2021-01-31 12:00 UTC");
}

TEST(TlsFiles, CombinationsThatMakeNoSense) {
    TlsSettings s = server_settings();
    s.client_certificate = ClientCertificate::required;
    EXPECT_THAT(load_error(s), StartsWith("tls.client_ca is not set"));
    s = server_settings();
    s.client_ca = cert("ca.crt");
    EXPECT_THAT(load_error(s), StartsWith("tls.client_ca is set, but client_certificate = \"none\""));
    s = server_settings();
    s.identity = TlsIdentity::common_name;
    EXPECT_THAT(load_error(s), StartsWith("tls.identity takes the user name"));
    s = server_settings(ClientCertificate::required);
    s.client_ca = cert("server.key");
    EXPECT_THAT(load_error(s), HasSubstr("holds a private key"));
}

TEST(TlsSettingsRows, FitTheStruct) {
    const TlsSettings fresh;
    for (const SettingRow& row : tls_setting_rows()) {
        TlsSettings s;
        if (row.kind == SettingKind::choice) {
            ASSERT_EQ(row.choices.size(), 3U);
            row.assign(&s, std::int64_t{2});
            EXPECT_EQ(row.choices[0], row.default_text);
        } else if (row.kind == SettingKind::boolean) {
            row.assign(&s, false);
            EXPECT_EQ(row.default_text, "true");
        } else if (row.kind == SettingKind::duration) {
            row.assign(&s, std::int64_t{60000});
            EXPECT_EQ(row.default_text, "24h");
            EXPECT_EQ(fresh.session_lifetime, std::chrono::hours(24));
        } else {
            row.assign(&s, std::string("x"));
        }
        EXPECT_FALSE(row.doc.empty());
    }
    TlsSettings s;
    for (const SettingRow& row : tls_setting_rows())
        if (row.key == "client_certificate") row.assign(&s, std::int64_t{2});
    EXPECT_EQ(s.client_certificate, ClientCertificate::required);
    EXPECT_EQ(fresh.client_certificate, ClientCertificate::none);
    EXPECT_EQ(fresh.identity, TlsIdentity::none);
}

}  // namespace
}  // namespace sluice::net
