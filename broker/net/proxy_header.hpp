#pragma once
/// The PROXY protocol, versions 1 (text) and 2 (binary), as a pure filter: a proxy says in front of
/// everything else, TLS included, whom it speaks for. The channel takes the filter out when the header is
/// read.
///
/// "LOCAL" (version 2) and "UNKNOWN" leave the identity as it is: the proxy speaks for itself or does not
/// know. Whether there is a header is never guessed: a client that came in directly could claim any address.
#include <memory>

#include "net/filter.hpp"

namespace sluice::net {

struct ProxyHeaderLimits {
    /// Of version 2, all extensions (TLV) included. HAProxy's own are a few hundred bytes with a
    /// certificate's name in them.
    std::size_t header_bytes_max = 4096;
};

std::unique_ptr<Filter> make_proxy_header_filter(const ProxyHeaderLimits& limits = {});

}  // namespace sluice::net
