#include "net/tls_parking.hpp"

#include <mbedtls/platform.h>
#if __has_include(<mbedtls/ssl_internal.h>)
#include <mbedtls/ssl_internal.h>  // 2.28 alone installs it
#endif

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace sluice::net::tls {
namespace {

#if defined(SLUICE_NO_TLS_PARKING) || defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH)
constexpr bool can_park = false;
#else
// What was checked: 2.28 with TLS 1.2, 3.6 with TLS 1.2 and 1.3.
constexpr bool can_park = (MBEDTLS_VERSION_NUMBER >= 0x021C0000 && MBEDTLS_VERSION_NUMBER < 0x021D0000) ||
                          (MBEDTLS_VERSION_NUMBER >= 0x03060000 && MBEDTLS_VERSION_NUMBER < 0x03070000);
#endif

/// Buffers of sessions that are parked, of one size. One thread.
class BufferStore {
  public:
    ~BufferStore() {
        for (unsigned char* buffer : buffers_) mbedtls_free(buffer);
    }
    void put(unsigned char* buffer) {
        if (buffers_.size() < kept_max) {
            buffers_.push_back(buffer);
        } else {
            mbedtls_free(buffer);
        }
    }
    unsigned char* take(std::size_t bytes) {
        if (buffers_.empty()) return static_cast<unsigned char*>(mbedtls_calloc(1, bytes));
        unsigned char* buffer = buffers_.back();
        buffers_.pop_back();
        return buffer;
    }

  private:
    // A session has its buffers only during a call, or while a record is on its way.
    static constexpr std::size_t kept_max = 4;
    std::vector<unsigned char*> buffers_;
};

struct Stores {
    BufferStore in, out;
    static Stores& mine() {
        thread_local Stores stores;
        return stores;
    }
};

// As the library allocates them (MBEDTLS_SSL_IN_BUFFER_LEN and its sister are not public): the content, room
// for header, counter, IV, MAC and padding. The larger of all that its configurations lead to.
constexpr std::size_t overhead_bytes = 1024;
constexpr std::size_t in_bytes = MBEDTLS_SSL_IN_CONTENT_LEN + overhead_bytes;
constexpr std::size_t out_bytes = MBEDTLS_SSL_OUT_CONTENT_LEN + overhead_bytes;

#if defined(MBEDTLS_SSL_IN_BUFFER_LEN)
static_assert(in_bytes >= MBEDTLS_SSL_IN_BUFFER_LEN && out_bytes >= MBEDTLS_SSL_OUT_BUFFER_LEN);
#endif

bool idle(const mbedtls_ssl_context& ssl) {
    return ssl.state == MBEDTLS_SSL_HANDSHAKE_OVER && ssl.in_buf != nullptr && ssl.out_buf != nullptr &&
           ssl.in_left == 0 && ssl.in_msglen == 0 && ssl.in_offt == nullptr && ssl.in_hslen == 0 &&
           ssl.out_left == 0 && ssl.keep_current_message == 0 && mbedtls_ssl_check_pending(&ssl) == 0;
}

}  // namespace

bool Parking::possible() {
    return can_park;
}

void Parking::park_if_idle(Ssl& ssl) {
    if (!can_park || parked_ || !idle(*ssl.get())) return;
    const auto from = [](const unsigned char* base, const unsigned char* place) {
        return static_cast<std::uint16_t>(place - base);
    };
    in_ = {from(ssl->in_buf, ssl->in_ctr), from(ssl->in_buf, ssl->in_hdr), from(ssl->in_buf, ssl->in_len),
           from(ssl->in_buf, ssl->in_iv), from(ssl->in_buf, ssl->in_msg)};
    out_ = {from(ssl->out_buf, ssl->out_ctr), from(ssl->out_buf, ssl->out_hdr),
            from(ssl->out_buf, ssl->out_len), from(ssl->out_buf, ssl->out_iv),
            from(ssl->out_buf, ssl->out_msg)};
    std::memcpy(in_counter_.data(), ssl->in_ctr, in_counter_.size());
    Stores::mine().in.put(std::exchange(ssl->in_buf, nullptr));
    Stores::mine().out.put(std::exchange(ssl->out_buf, nullptr));
    parked_ = true;
}

bool Parking::unpark(Ssl& ssl) {
    if (!parked_) return true;
    unsigned char* in = Stores::mine().in.take(in_bytes);
    unsigned char* out = Stores::mine().out.take(out_bytes);
    if (in == nullptr || out == nullptr) {
        mbedtls_free(in);
        mbedtls_free(out);
        return false;
    }
    ssl->in_buf = in;
    ssl->in_ctr = in + in_.counter;
    ssl->in_hdr = in + in_.header;
    ssl->in_len = in + in_.length;
    ssl->in_iv = in + in_.iv;
    ssl->in_msg = in + in_.message;
    ssl->out_buf = out;
    ssl->out_ctr = out + out_.counter;
    ssl->out_hdr = out + out_.header;
    ssl->out_len = out + out_.length;
    ssl->out_iv = out + out_.iv;
    ssl->out_msg = out + out_.message;
#if defined(MBEDTLS_SSL_DTLS_CONNECTION_ID)
    ssl->in_cid = ssl->in_len;  // as long as there is none, which is always so over a stream
    ssl->out_cid = ssl->out_len;
#endif
    std::memcpy(ssl->in_ctr, in_counter_.data(), in_counter_.size());
    parked_ = false;
    return true;
}

}  // namespace sluice::net::tls
