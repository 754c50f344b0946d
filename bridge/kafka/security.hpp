#pragma once
/// How a bridge and its cluster prove themselves to each other: the keys and the preset, taken together.
#include <librdkafka/rdkafka.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "bridge/kafka/settings.hpp"

namespace sluice::bridge::kafka {

struct Security {
    bool tls = false;
    Sasl sasl = Sasl::none;
    std::uint16_t default_port = 9092;
    /// Settings of librdkafka, name and value. The first may be overridden by `options`, the second not.
    std::vector<std::pair<std::string, std::string>> defaults, settings;
    bool any_key_set = false;  ///< then `options` may not speak of security
};

/// The error names key, problem and expectation. Reads the files that are named.
Result<Security, std::string> resolve_security(const KafkaSettings& settings);

/// Whether a setting of librdkafka is about TLS or SASL, so that it is ours when any key of ours is set.
bool is_about_security(std::string_view name);

/// Why the certificate of a server was not accepted: librdkafka itself does not tell. Any thread.
class CertificateProblem {
  public:
    /// Makes librdkafka tell; once per configuration.
    static void listen(rd_kafka_conf_t* conf);
    /// One line; empty when there is none. Forgets it.
    std::string take();

  private:
    static int verify(rd_kafka_t* handle, const char* broker, std::int32_t broker_id, int* error, int depth,
                      const char* der, std::size_t der_bytes, char* text, std::size_t text_bytes, void* self);
    std::mutex mutex_;
    std::string text_;
};

/// librdkafka's complaint in an operator's words.
struct SecurityError {
    std::string text;      ///< empty: it is not about security
    bool certain = false;  ///< false: it may also be something else
};
/// `certificate` is what CertificateProblem has.
SecurityError explain_security_error(rd_kafka_resp_err_t code, std::string_view text,
                                     const std::string& certificate);

}  // namespace sluice::bridge::kafka
