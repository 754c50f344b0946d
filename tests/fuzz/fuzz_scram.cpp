/// Any bytes as the messages of a SCRAM client, cut at line ends, to a server that knows one user and has a
/// fixed nonce: replies in the form of RFC 5802, one refusal for good, and nobody in who did not come the
/// whole way.
#include "auth/saslprep.hpp"
#include "auth/scram.hpp"
#include "base/check.hpp"

namespace {

using namespace sluice;

constexpr std::string_view nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

/// The user of RFC 7677 3; others get keys that nothing opens.
auth::ScramCredential credential(std::string_view name) {
    static const auth::ScramKeys user =
        auth::make_scram_keys("pencil", *auth::decode_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096).value();
    if (name == "user") return {user, true};
    return {{.salt = ByteBuffer(16)}, false};
}

void check_reply(const auth::ScramServer& server, std::size_t step, std::string_view reply) {
    if (step == 0) {
        CHECK(reply.starts_with("r=") && reply.find(nonce) != std::string_view::npos);
        CHECK(reply.ends_with(",i=4096"));
        CHECK(!server.user_name().empty() && auth::saslprep(server.user_name()) == server.user_name());
    } else {
        CHECK(step == 1 && server.done() && server.user_name() == "user");
        CHECK(reply.starts_with("v=") && reply.size() == 46);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = as_text({data, size});
    if (const auto prepared = auth::saslprep(text)) {
        CHECK(prepared->size() <= text.size());
        CHECK(auth::saslprep(*prepared) == prepared);
    }
    auth::ScramServer server{std::string(nonce), credential};
    bool refused = false;
    for (std::size_t step = 0; step < 4; ++step) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const auto reply = server.answer(text.substr(0, end));
        CHECK(!reply || !refused);
        refused = !reply;
        if (reply) check_reply(server, step, *reply);
        CHECK(server.done() == (reply && step == 1));
        text = text.substr(std::min(end + 1, text.size()));
    }
    return 0;
}
