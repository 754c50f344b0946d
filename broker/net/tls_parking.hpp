#pragma once
/// Parking: an idle TLS session lends its record buffers back to its thread.
///
/// mbedTLS keeps two buffers of some 17 KB for each session, also for one that says a word an hour, and
/// Debian's builds offer no way to be rid of them. Between records they hold nothing but the counter of
/// incoming records: with that saved they can serve another session meanwhile. This touches fields of the
/// library's context that are its own business, so it is done only for versions that it was checked with, and
/// not at all when SLUICE_NO_TLS_PARKING is defined.
#include <array>
#include <cstddef>
#include <cstdint>

#include "net/tls_compat.hpp"

namespace sluice::net::tls {

class Parking {
  public:
    /// True when this build can park at all.
    static bool possible();

    /// The session has no record half read or half sent: gives its buffers to the calling thread's store.
    /// Nothing happens while it is busy, in its handshake, or parked already.
    void park_if_idle(Ssl& ssl);
    /// Before any call into the library but its free(): the session has buffers again. False when there is no
    /// memory for them.
    bool unpark(Ssl& ssl);
    bool parked() const { return parked_; }

  private:
    /// Where the library's pointers into one buffer stood, from its beginning.
    struct Places {
        std::uint16_t counter = 0, header = 0, length = 0, iv = 0, message = 0;
    };

    Places in_, out_;
    std::array<std::uint8_t, 8> in_counter_{};  // of records; the outgoing one is kept in the context
    bool parked_ = false;
};

}  // namespace sluice::net::tls
