#pragma once
/// Peer: the client's end of one TCP connection of a conversation.
#include <chrono>
#include <functional>
#include <optional>

#include "packet.hpp"

namespace sluice::test {

/// How the bytes of one send step are cut into writes: the sizes of all pieces but the last.
using Cuts = std::function<std::vector<std::size_t>(std::size_t bytes)>;

class Peer {
  public:
    /// Nothing that is expected takes longer, not even on a busy machine with a sanitizer.
    static constexpr std::chrono::seconds patience{20};

    explicit Peer(std::uint16_t port);
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    int level = 5;  ///< of the CONNECT that was sent

    void send(Bytes bytes, const Cuts& cuts);
    /// The next packet as the server sent it, waiting for it; `raw` gets its bytes. Nothing: it closed.
    std::optional<Json> next(ByteBuffer& raw);
    /// Waits for `count` bytes; fewer only when the server closed.
    ByteBuffer next_bytes(std::size_t count);
    void half_close();
    /// Closes with a FIN (false) or a RST (true).
    void close(bool reset);

  private:
    /// False: the server closed.
    bool receive();

    int fd_ = -1;
    bool ended_ = false;
    ByteBuffer received_;
};

}  // namespace sluice::test
