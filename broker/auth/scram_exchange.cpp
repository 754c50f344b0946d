#include "auth/scram_exchange.hpp"

namespace sluice::auth {
namespace {

std::string make_nonce() {
    std::array<std::uint8_t, ScramServer::nonce_bytes> random{};
    fill_random(random);
    return encode_base64(random);
}

ByteBuffer bytes_of(std::string_view text) {
    const Bytes bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

class ScramExchange final : public AuthExchange {
  public:
    explicit ScramExchange(ScramServer::Lookup lookup) : server_(make_nonce(), std::move(lookup)) {}

    void step(std::optional<Bytes> data, Answer answer) override { answer(next(data)); }

  private:
    ExchangeStep next(std::optional<Bytes> data) {
        // The client speaks first in SCRAM. One that sent nothing with its CONNECT is asked to [RFC 4422 3].
        if (!data && !asked_) {
            asked_ = true;
            return Challenge{};
        }
        asked_ = true;
        if (!data)
            return Refusal{wire::ReasonCode::not_authorized, "the SCRAM message is missing",
                           "invalid-encoding"};
        auto reply = server_.answer(as_text(*data));
        if (!reply) {
            const ScramRefusal& refusal = reply.error();
            return Refusal{wire::ReasonCode::not_authorized, refusal.why, refusal.error, refusal.guessed};
        }
        if (server_.done()) return Admitted{{server_.user_name()}, bytes_of(*reply)};
        return Challenge{bytes_of(*reply)};
    }

    ScramServer server_;
    bool asked_ = false;
};

}  // namespace

std::unique_ptr<AuthExchange> make_scram_exchange(ScramServer::Lookup lookup) {
    return std::make_unique<ScramExchange>(std::move(lookup));
}

}  // namespace sluice::auth
