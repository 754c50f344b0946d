/// TlsFilter: one connection's TLS, over memory instead of a socket.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/memory_gauge.hpp"
#include "net/thread_buffers.hpp"
#include "net/tls_engine.hpp"
#include "net/tls_parking.hpp"
#include "net/tls_words.hpp"

namespace sluice::net::tls {
namespace {

constexpr std::uint8_t handshake_record = 0x16;
constexpr std::uint8_t mqtt_connect = 0x10;
constexpr std::size_t record_head_bytes = 5;
constexpr std::size_t record_bytes_max = 16384 + 2048;  // RFC 5246, 6.2.3
// About what the library takes: for the session itself, for its two buffers, and for keys and certificates
// while it shakes hands.
constexpr std::size_t session_bytes = 2'000;
constexpr std::size_t buffers_bytes = 35'000;
constexpr std::size_t handshake_bytes = 8'000;

class FilterImpl final : public TlsFilter {
  public:
    explicit FilterImpl(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}

    Result<void, FilterError> receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) override;
    Result<void, FilterError> send(Bytes plain, ByteBuffer& wire) override;
    void close(ByteBuffer& wire) override;
    bool ready() const override { return ready_; }
    void identify(PeerIdentity& identity) const override;
    bool resumed() const override { return ready_ && !full_handshake_; }
    bool parked() const override { return parking_.parked(); }

  private:
    // The library's two ends. Input is always there as a whole, output always goes: nothing blocks.
    static int take(void* self, unsigned char* into, std::size_t bytes);
    static int give(void* self, const unsigned char* from, std::size_t bytes);

    /// True when the first record has come and the session can begin.
    Result<bool, FilterError> begin(Bytes wire);
    /// Nothing more to do for now (true, or false when the handshake is over), or why it failed.
    Result<bool, FilterError> shake_hands();
    Result<void, FilterError> check_client();
    Result<void, FilterError> read_records(ByteBuffer& plain);
    Result<void, FilterError> check_offered_certificate();
    Err<FilterError> refuse_certificate(std::uint32_t flags);
    void send_alert(int alert);
    Err<FilterError> no_memory();

    /// What the library holds for the session, which does not come from operator new.
    void count_memory();

    std::shared_ptr<const Engine> engine_;
    memory_gauge::Foreign counted_;
    Ssl ssl_;
    Parking parking_;
    /// Until the client's first record is whole: the library's buffers, some 35 KB, are not for those who say
    /// nothing, or one byte a second.
    ByteBuffer first_record_;
    Bytes input_;
    ByteBuffer* output_ = nullptr;
    bool started_ = false;  ///< the first record was seen, and the library set up
    bool ready_ = false;
    bool full_handshake_ = false;  ///< certificates were exchanged, no session was resumed
    bool ended_ = false;           ///< by either side: no farewell any more
};

int FilterImpl::take(void* self, unsigned char* into, std::size_t bytes) {
    Bytes& input = static_cast<FilterImpl*>(self)->input_;
    if (input.empty()) return MBEDTLS_ERR_SSL_WANT_READ;
    const std::size_t n = std::min(bytes, input.size());
    std::memcpy(into, input.data(), n);
    input = input.subspan(n);
    return static_cast<int>(n);
}

int FilterImpl::give(void* self, const unsigned char* from, std::size_t bytes) {
    auto* filter = static_cast<FilterImpl*>(self);
    if (filter->output_ == nullptr) return MBEDTLS_ERR_SSL_WANT_WRITE;
    append(*filter->output_, {from, bytes});
    return static_cast<int>(bytes);
}

Result<bool, FilterError> FilterImpl::begin(Bytes wire) {
    if (first_record_.empty() && wire[0] != handshake_record) {
        ended_ = true;
        return Err{FilterError{wire[0] == mqtt_connect
                                   ? "TLS handshake failed: not TLS at all (plain MQTT sent to a TLS port?)"
                                   : "TLS handshake failed: not TLS at all"}};
    }
    append(first_record_, wire);
    const std::size_t have = first_record_.size();
    if (have < record_head_bytes) return false;
    const std::size_t record_bytes = read_u16(first_record_.data() + 3);
    if (record_bytes > record_bytes_max) {  // not kept until it is there
        ended_ = true;
        return Err{FilterError{"TLS handshake failed: its first record is larger than TLS allows"}};
    }
    if (have < record_head_bytes + record_bytes) return false;
    if (!engine_ || mbedtls_ssl_setup(ssl_.get(), engine_->config()) != 0) {
        ended_ = true;
        return Err{FilterError{"TLS: no memory for another connection"}};
    }
    mbedtls_ssl_set_bio(ssl_.get(), this, &FilterImpl::give, &FilterImpl::take, nullptr);
    started_ = true;
    count_memory();
    return true;
}

Result<void, FilterError> FilterImpl::receive(Bytes wire, ByteBuffer& plain, ByteBuffer& reply) {
    if (wire.empty()) return {};
    ByteBuffer first;
    if (!started_) {
        const auto begun = begin(wire);
        if (!begun) return Err{begun.error()};
        if (!*begun) return {};
        first = std::exchange(first_record_, {});
        wire = first;
    }
    if (!parking_.unpark(ssl_)) return no_memory();
    input_ = wire;
    output_ = &reply;
    const auto done = [&]() -> Result<void, FilterError> {
        if (!ready_) {
            const auto waiting = shake_hands();
            if (!waiting) return Err{waiting.error()};
            if (*waiting) return {};
            if (auto checked = check_client(); !checked) return checked;
            ready_ = true;
        }
        return read_records(plain);
    }();
    if (!done) ended_ = true;
    input_ = {};
    output_ = nullptr;
    parking_.park_if_idle(ssl_);
    count_memory();
    return done;
}

void FilterImpl::count_memory() {
    counted_.set(session_bytes + (parking_.parked() ? 0 : buffers_bytes) +
                 (handshake_over(ssl_) ? 0 : handshake_bytes));
}

Err<FilterError> FilterImpl::no_memory() {
    ended_ = true;
    return Err{FilterError{"TLS: no memory for a record"}};
}

Result<bool, FilterError> FilterImpl::shake_hands() {
    while (!handshake_over(ssl_)) {
        const int before = state_of(ssl_);
        const std::size_t written = output_->size();
        // Passed through only when the handshake is a full one.
        if (before == MBEDTLS_SSL_SERVER_CERTIFICATE) full_handshake_ = true;
        const int result = mbedtls_ssl_handshake_step(ssl_.get());
        if (result == MBEDTLS_ERR_SSL_WANT_READ) return true;
        if (result != 0) {
            // The one fault that 2.28 keeps to itself.
            if (result == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE && output_->size() == written)
                send_alert(MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
            return Err{FilterError{handshake_failure(result, ssl_)}};
        }
        if (before == MBEDTLS_SSL_CLIENT_CERTIFICATE)
            if (auto accepted = check_offered_certificate(); !accepted) return Err{accepted.error()};
    }
    return false;
}

// "optional" means that a client may have no certificate, not that it may have a bad one. The library lets it
// pass; said here, before our Finished, the client sees a failed handshake and not a connection that breaks.
Result<void, FilterError> FilterImpl::check_offered_certificate() {
    if (engine_->client_certificate() != ClientCertificate::optional) return {};
    constexpr std::uint32_t none_offered = MBEDTLS_X509_BADCERT_MISSING | MBEDTLS_X509_BADCERT_SKIP_VERIFY;
    const std::uint32_t flags = mbedtls_ssl_get_verify_result(ssl_.get());
    if ((flags & ~none_offered) == 0) return {};
    return refuse_certificate(flags);
}

void FilterImpl::send_alert(int alert) {
    mbedtls_ssl_send_alert_message(ssl_.get(), MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                   static_cast<unsigned char>(alert));
}

Err<FilterError> FilterImpl::refuse_certificate(std::uint32_t flags) {
    int alert = MBEDTLS_SSL_ALERT_MSG_BAD_CERT;
    if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) alert = MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED;
    if ((flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) alert = MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA;
    send_alert(alert);
    return Err{FilterError{"TLS handshake failed: " + certificate_complaint(flags)}};
}

// The library's own verdict covers only a full handshake: a resumed session brings its certificate back
// without asking about it again, or (TLS 1.3) brings none and passes.
Result<void, FilterError> FilterImpl::check_client() {
    if (engine_->client_certificate() == ClientCertificate::none) return {};
    const mbedtls_x509_crt* certificate = mbedtls_ssl_get_peer_cert(ssl_.get());
    if (certificate == nullptr) {
        if (engine_->client_certificate() == ClientCertificate::optional) return {};
        send_alert(MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
        return Err{FilterError{handshake_failure(MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, ssl_)}};
    }
    std::uint32_t flags = mbedtls_ssl_get_verify_result(ssl_.get());
    if (mbedtls_x509_time_is_past(&certificate->valid_to)) flags |= MBEDTLS_X509_BADCERT_EXPIRED;
    if (flags != 0) return refuse_certificate(flags);
    return {};
}

Result<void, FilterError> FilterImpl::read_records(ByteBuffer& plain) {
    const MutableBytes record = ThreadBuffers::mine().record();
    for (;;) {
        const int result = mbedtls_ssl_read(ssl_.get(), record.data(), record.size());
        if (result > 0) {
            append(plain, record.first(static_cast<std::size_t>(result)));
            continue;
        }
        if (result == MBEDTLS_ERR_SSL_WANT_READ) return {};
        const int error = result == 0 ? MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY : result;
        // A clean end of the client is answered in kind; after anything else the library has sent its alert.
        if (error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) mbedtls_ssl_close_notify(ssl_.get());
        return Err{FilterError{session_failure(error, ssl_)}};
    }
}

Result<void, FilterError> FilterImpl::send(Bytes plain, ByteBuffer& wire) {
    if (!ready_ || ended_) return Err{FilterError{"TLS: nothing can be sent outside a session"}};
    if (!parking_.unpark(ssl_)) return no_memory();
    output_ = &wire;
    int result = 0;
    // mbedtls_ssl_write makes one record of at most 16 KiB per call.
    while (!plain.empty()) {
        result = mbedtls_ssl_write(ssl_.get(), plain.data(), plain.size());
        if (result <= 0) break;
        plain = plain.subspan(static_cast<std::size_t>(result));
    }
    output_ = nullptr;
    parking_.park_if_idle(ssl_);
    count_memory();
    if (result >= 0) return {};
    ended_ = true;
    return Err{FilterError{session_failure(result, ssl_)}};
}

void FilterImpl::close(ByteBuffer& wire) {
    if (!ready_ || ended_) return;
    ended_ = true;
    if (!parking_.unpark(ssl_)) return;
    output_ = &wire;
    mbedtls_ssl_close_notify(ssl_.get());
    output_ = nullptr;
}

void FilterImpl::identify(PeerIdentity& identity) const {
    if (!ready_) return;
    identity.tls_version = mbedtls_ssl_get_version(ssl_.get());
    if (engine_->client_certificate() == ClientCertificate::none) return;
    // check_client() let nobody through whose certificate is not verified.
    const mbedtls_x509_crt* certificate = mbedtls_ssl_get_peer_cert(ssl_.get());
    if (certificate == nullptr) return;
    identity.certified = true;
    identify_by(*certificate, identity);
}

}  // namespace

std::unique_ptr<TlsFilter> make_filter(std::shared_ptr<const Engine> engine) {
    return std::make_unique<FilterImpl>(std::move(engine));
}

}  // namespace sluice::net::tls
