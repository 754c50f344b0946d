#include "tests/unit/net/tls_support.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "base/check.hpp"

namespace sluice::net::test {
namespace {

/// Removed when the process ends.
class Folder {
  public:
    Folder() {
        path_ = std::filesystem::temp_directory_path() / "sluice-net-XXXXXX";
        std::string text = path_.string();
        CHECK(::mkdtemp(text.data()) != nullptr);
        path_ = text;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

const std::filesystem::path& scratch() {
    static const Folder folder;
    return folder.path();
}

tls::Random& shared_random() {
    static tls::Random random;
    static const bool seeded = random.seed();
    CHECK(seeded);
    return random;
}

std::string pem_of(int (*write)(void*, unsigned char*, std::size_t), void* what) {
    std::array<unsigned char, 8192> pem{};
    CHECK(write(what, pem.data(), pem.size()) == 0);
    return reinterpret_cast<const char*>(pem.data());
}

}  // namespace

std::string cert(const std::string& file) {
    static const std::string folder = [] {
        const std::string out = std::string(SLUICE_BINARY_DIR) + "/test-certs";
        struct stat last {};
        // The file that is made last; fresh certificates are taken as they are.
        const bool fresh = ::stat((out + "/expired-device.crt").c_str(), &last) == 0 &&
                           std::time(nullptr) - last.st_mtime < 24 * 3600;
        const std::string command = std::string(SLUICE_SOURCE_DIR) + "/certs/make-dev-certs --devices 3" +
                                    " --with-wrong-ca --with-expired --out '" + out + "' >/dev/null";
        CHECK(fresh || std::system(command.c_str()) == 0);
        return out;
    }();
    return folder + "/" + file;
}

std::string read_text(const std::string& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

std::string temporary_file(const std::string& name, const std::string& text) {
    const auto path = scratch() / name;
    std::ofstream(path) << text;
    return path.string();
}

TlsSettings server_settings(ClientCertificate client_certificate) {
    TlsSettings settings;
    settings.certificate = cert("server.crt");
    settings.key = cert("server.key");
    settings.client_certificate = client_certificate;
    if (client_certificate != ClientCertificate::none) settings.client_ca = cert("ca.crt");
    return settings;
}

std::shared_ptr<TlsContext> server(const TlsSettings& settings) {
    auto context = TlsContext::load(settings);
    if (!context) std::fprintf(stderr, "%s\n", context.error().c_str());
    return *context;
}

std::string certificate_time(long seconds_from_now) {
    const std::time_t at = std::time(nullptr) + seconds_from_now;
    std::tm utc{};
    gmtime_r(&at, &utc);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y%m%d%H%M%S", &utc);
    return text.data();
}

Made make_certificate(const std::string& subject, const std::string& not_after) {
    tls::Random& random = shared_random();
    tls::Certificates issuer;
    tls::Key issuer_key, key;
    CHECK(mbedtls_x509_crt_parse_file(issuer.get(), cert("ca.crt").c_str()) == 0);
    const std::string issuer_pem = read_text(cert("ca.key"));
    CHECK(tls::parse_key(issuer_key,
                         {reinterpret_cast<const std::uint8_t*>(issuer_pem.c_str()), issuer_pem.size() + 1},
                         random) == 0);
    CHECK(mbedtls_pk_setup(key.get(), mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0);
    CHECK(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key.get()), mbedtls_ctr_drbg_random,
                              random.context()) == 0);
    std::array<char, 512> issuer_name{};
    CHECK(mbedtls_x509_dn_gets(issuer_name.data(), issuer_name.size(), &issuer->subject) > 0);

    mbedtls_x509write_cert writer;
    mbedtls_x509write_crt_init(&writer);
    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&writer, key.get());
    mbedtls_x509write_crt_set_issuer_key(&writer, issuer_key.get());
    CHECK(mbedtls_x509write_crt_set_subject_name(&writer, subject.c_str()) == 0);
    CHECK(mbedtls_x509write_crt_set_issuer_name(&writer, issuer_name.data()) == 0);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    unsigned char serial[] = {7};
    CHECK(mbedtls_x509write_crt_set_serial_raw(&writer, serial, sizeof(serial)) == 0);
#else
    mbedtls_mpi serial;
    mbedtls_mpi_init(&serial);
    CHECK(mbedtls_mpi_lset(&serial, 7) == 0 && mbedtls_x509write_crt_set_serial(&writer, &serial) == 0);
    mbedtls_mpi_free(&serial);
#endif
    CHECK(mbedtls_x509write_crt_set_validity(&writer, "20200101000000", not_after.c_str()) == 0);
    const std::string certificate = pem_of(
        [](void* w, unsigned char* out, std::size_t size) {
            return mbedtls_x509write_crt_pem(static_cast<mbedtls_x509write_cert*>(w), out, size,
                                             mbedtls_ctr_drbg_random, shared_random().context());
        },
        &writer);
    mbedtls_x509write_crt_free(&writer);
    const std::string key_pem = pem_of(
        [](void* k, unsigned char* out, std::size_t size) {
            return mbedtls_pk_write_key_pem(static_cast<mbedtls_pk_context*>(k), out, size);
        },
        key.get());
    static int number = 0;
    const std::string name = "made-" + std::to_string(++number);
    return {temporary_file(name + ".crt", certificate), temporary_file(name + ".key", key_pem)};
}

TlsClient::TlsClient(const ClientOptions& options) : suites_(options.suites) {
    CHECK(tls::start_library() && random_.seed());
    CHECK(mbedtls_ssl_config_defaults(config_.get(), MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                      MBEDTLS_SSL_PRESET_DEFAULT) == 0);
    mbedtls_ssl_conf_rng(config_.get(), mbedtls_ctr_drbg_random, random_.context());
    mbedtls_ssl_conf_session_tickets(config_.get(), options.tickets ? MBEDTLS_SSL_SESSION_TICKETS_ENABLED
                                                                    : MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    // These tests are about what both versions have in common.
    mbedtls_ssl_conf_max_tls_version(config_.get(), MBEDTLS_SSL_VERSION_TLS1_2);
#else
    if (options.tls11)
        mbedtls_ssl_conf_max_version(config_.get(), MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_2);
#endif
    if (!suites_.empty()) {
        suites_.push_back(0);
        mbedtls_ssl_conf_ciphersuites(config_.get(), suites_.data());
    }
    mbedtls_ssl_conf_authmode(config_.get(),
                              options.ca.empty() ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
    if (!options.ca.empty()) {
        CHECK(mbedtls_x509_crt_parse_file(ca_.get(), options.ca.c_str()) == 0);
        mbedtls_ssl_conf_ca_chain(config_.get(), ca_.get(), nullptr);
    }
    if (!options.certificate.empty()) {
        const std::string pem = read_text(options.key);
        CHECK(mbedtls_x509_crt_parse_file(certificate_.get(), options.certificate.c_str()) == 0);
        CHECK(tls::parse_key(key_, {reinterpret_cast<const std::uint8_t*>(pem.c_str()), pem.size() + 1},
                             random_) == 0);
        CHECK(mbedtls_ssl_conf_own_cert(config_.get(), certificate_.get(), key_.get()) == 0);
    }
    CHECK(mbedtls_ssl_setup(ssl_.get(), config_.get()) == 0);
    CHECK(mbedtls_ssl_set_hostname(ssl_.get(), "localhost") == 0);
    mbedtls_ssl_set_bio(ssl_.get(), this, &TlsClient::give, &TlsClient::take, nullptr);
}

int TlsClient::give(void* self, const unsigned char* from, std::size_t bytes) {
    append(static_cast<TlsClient*>(self)->out, {from, bytes});
    return static_cast<int>(bytes);
}

int TlsClient::take(void* self, unsigned char* into, std::size_t bytes) {
    auto* client = static_cast<TlsClient*>(self);
    const std::size_t n = std::min(bytes, client->in.size() - client->taken_);
    if (n == 0) return MBEDTLS_ERR_SSL_WANT_READ;
    std::memcpy(into, client->in.data() + client->taken_, n);
    client->taken_ += n;
    if (client->taken_ == client->in.size()) {
        client->in.clear();
        client->taken_ = 0;
    }
    return static_cast<int>(n);
}

bool TlsClient::shake() {
    const int result = mbedtls_ssl_handshake(ssl_.get());
    if (result != 0 && result != MBEDTLS_ERR_SSL_WANT_READ) error_ = result;
    return result == 0;
}

void TlsClient::write(std::string_view text) {
    Bytes bytes = as_bytes(text);
    while (!bytes.empty()) {
        const int result = mbedtls_ssl_write(ssl_.get(), bytes.data(), bytes.size());
        CHECK(result > 0);
        bytes = bytes.subspan(static_cast<std::size_t>(result));
    }
}

std::string TlsClient::read() {
    std::string out_text;
    std::array<unsigned char, 4096> part{};
    for (;;) {
        const int result = mbedtls_ssl_read(ssl_.get(), part.data(), part.size());
        if (result > 0) {
            out_text += as_text({part.data(), static_cast<std::size_t>(result)});
            continue;
        }
        if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
            closed_by_server = true;
        else if (result != MBEDTLS_ERR_SSL_WANT_READ)
            error_ = result;
        return out_text;
    }
}

void TlsClient::close() {
    mbedtls_ssl_close_notify(ssl_.get());
}

std::unique_ptr<TlsClient::Session> TlsClient::session() {
    auto saved = std::make_unique<Session>();
    CHECK(mbedtls_ssl_get_session(ssl_.get(), &saved->value) == 0);
    return saved;
}

void TlsClient::resume(const Session& session) {
    CHECK(mbedtls_ssl_set_session(ssl_.get(), &session.value) == 0);
}

std::optional<std::string> feed(Filter& filter, Bytes wire, ByteBuffer& plain, ByteBuffer& reply,
                                std::size_t chunk) {
    while (!wire.empty()) {
        const Bytes part = wire.first(std::min(chunk, wire.size()));
        if (auto received = filter.receive(part, plain, reply); !received) return received.error().what;
        wire = wire.subspan(part.size());
    }
    return std::nullopt;
}

std::optional<std::string> handshake(TlsClient& client, TlsFilter& filter, std::size_t chunk) {
    ByteBuffer plain;
    for (int round = 0; round < 20; ++round) {
        const bool over = client.shake();
        const ByteBuffer wire = std::exchange(client.out, {});
        if (auto failed = feed(filter, wire, plain, client.in, chunk)) {
            if (client.shake()) client.read();  // hears the alert
            return failed;
        }
        CHECK(plain.empty());
        if (over && filter.ready()) return std::nullopt;
        if (client.error() != 0 && wire.empty()) return "the client gave up";
    }
    return "the handshake does not end";
}

}  // namespace sluice::net::test
