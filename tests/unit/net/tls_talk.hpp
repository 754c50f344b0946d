#pragma once
/// Short words for a client and a server filter that talk in memory.
#include <gtest/gtest.h>

#include "tests/unit/net/tls_support.hpp"

namespace sluice::net::test {

inline ClientOptions device(const std::string& name) {
    return {.ca = cert("ca.crt"), .certificate = cert(name + ".crt"), .key = cert(name + ".key")};
}

inline std::string to_server(TlsClient& client, Filter& filter, std::string_view text,
                             std::size_t chunk = SIZE_MAX) {
    ByteBuffer plain;
    client.write(text);
    const ByteBuffer wire = std::exchange(client.out, {});
    EXPECT_EQ(feed(filter, wire, plain, client.in, chunk), std::nullopt);
    return std::string(as_text(plain));
}

inline std::string to_client(TlsClient& client, Filter& filter, std::string_view text) {
    EXPECT_TRUE(filter.send(as_bytes(text), client.in).ok());
    return client.read();
}

}  // namespace sluice::net::test
