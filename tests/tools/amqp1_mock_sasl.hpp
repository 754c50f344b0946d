#pragma once
/// SASL PLAIN and EXTERNAL for amqp1_mock: Proton's own server side has no PLAIN without Cyrus.
#include <proton/sasl.h>
#include <proton/sasl_plugin.h>
#include <proton/transport.h>

#include <string>
#include <string_view>

namespace amqp1_mock {

struct Options {
    std::string host = "127.0.0.1";
    std::string user;  ///< "NAME:PASSWORD"; empty: everybody is let in
    std::string certificate, key, client_ca, product;
};
/// Global: the callbacks of SASL have no other way to it.
inline Options options;

namespace sasl {

inline void nothing(pn_transport_t*) {}
inline void no_bytes(pn_transport_t*, const pn_bytes_t*) {}
inline const char* mechanisms(pn_transport_t*) {
    return options.client_ca.empty() ? "PLAIN" : "EXTERNAL PLAIN";
}
inline bool init(pn_transport_t* transport) {
    pnx_sasl_set_desired_state(transport, SASL_POSTED_MECHANISMS);
    return true;
}
inline bool no_client(pn_transport_t*) {
    return false;
}
inline void process_init(pn_transport_t* transport, const char* mechanism, const pn_bytes_t* answer) {
    const auto colon = options.user.find(':');
    const std::string wanted = std::string(1, '\0') + options.user.substr(0, colon) + std::string(1, '\0') +
                               options.user.substr(colon + 1);
    const char* certificate = pnx_sasl_get_external_username(transport);
    if (std::string_view(mechanism) == "PLAIN" && wanted == std::string(answer->start, answer->size)) {
        pnx_sasl_set_succeeded(transport, "user", "user");
    } else if (std::string_view(mechanism) == "EXTERNAL" && certificate) {
        pnx_sasl_set_succeeded(transport, certificate, certificate);
    } else {
        pnx_sasl_set_failed(transport);
    }
    pnx_sasl_set_desired_state(transport, SASL_POSTED_OUTCOME);
}
inline bool no_mechanisms(pn_transport_t*, const char*) {
    return false;
}
inline bool no_encryption(pn_transport_t*) {
    return false;
}
inline ssize_t no_size(pn_transport_t*) {
    return 0;
}
inline ssize_t no_code(pn_transport_t*, pn_bytes_t, pn_bytes_t*) {
    return 0;
}
constexpr pnx_sasl_implementation server{&nothing,       &mechanisms, &init,          &no_client, &nothing,
                                         &process_init,  &no_bytes,   &no_mechanisms, &no_bytes,  &no_bytes,
                                         &no_encryption, &no_size,    &no_code,       &no_code};

}  // namespace sasl
}  // namespace amqp1_mock
