// Whatever a raw client sends, it alone has the consequences: each malformed packet of the vectors, against
// the real process, is answered with the reason code that version 5 asks for or the plain end of the older
// versions, while a thousand other clients go on as if nothing had happened.
#include <gtest/gtest.h>

#include "bystanders.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/unit/wire/vectors.hpp"
#include "tests/vectors/conversation.hpp"
#include "tests/vectors/player.hpp"
#include "wire/decode.hpp"

namespace sluice::test {
namespace {

constexpr int bystanders = 1000;

class MalformedTest : public ::testing::Test, protected BrokerUnderTest {
  protected:
    void SetUp() override {
        const std::string data = folder_.path() / "data";
        ASSERT_TRUE(process_.start("[broker]\ndata_dir = \"" + data +
                                   "\"\nthreads = 2\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\n"
                                   "anonymous = true\n"))
            << process_.log();
    }

    // BrokerUnderTest
    std::uint16_t port() const override { return process_.port(); }
    void restart() override { FAIL() << "not here"; }
    void stop() override {}

    /// Runs `deeds` among the bystanders, who must not notice.
    template <class Deeds>
    void among_bystanders(Deeds&& deeds) {
        try {
            Bystanders others(port(), bystanders);
            others.wait_until_all_are_there();
            deeds();
            others.finish();
            EXPECT_GE(others.rounds(), 2U * bystanders);
            RecordProperty("slowest_round_ms", static_cast<int>(others.slowest().count()));
        } catch (const Mismatch& noticed) {
            ADD_FAILURE() << noticed.what();
        }
        EXPECT_TRUE(process_.stop()) << process_.log();
    }

    TempFolder folder_;
    SluicedProcess process_{folder_.path()};
};

std::vector<std::size_t> whole(std::size_t) {
    return {};
}

std::vector<std::size_t> every_byte(std::size_t bytes) {
    return std::vector<std::size_t>(bytes - 1, 1);
}

TEST_F(MalformedTest, EveryConversation) {
    among_bystanders([this] {
        std::size_t held = 0;
        for (const Conversation& one : all_conversations()) {
            if (!one.file.starts_with("malformed")) continue;
            for (const bool cut : {false, true}) {
                try {
                    Player(*this, cut ? every_byte : whole).play(one);
                } catch (const Mismatch& wrong) {
                    ADD_FAILURE() << one.file << ".json: " << one.name << ": " << wrong.what();
                }
                ++held;
            }
        }
        EXPECT_GE(held, 400U);
    });
}

int code_of(const std::string& name) {
    for (int code = 0; code < 256; ++code) {
        if (wire::name_of(static_cast<wire::ReasonCode>(code)) == name) return code;
    }
    return -1;
}

/// What the client of such a row must get: a packet, before the end of the connection.
Json wanted_answer(const Vector& row, wire::PacketType type, const std::optional<wire::Version>& told) {
    using wire::PacketType;
    const int code = code_of(row.expect);
    if (type == PacketType::connect) {
        // The return codes of 3.1.1, which every version can read; nobody knows what else such a client
        // speaks.
        if (row.expect == "unsupported protocol version") return {{"connack", {{"code", 1}}}};
        if (row.expect == "client identifier not valid") return {{"connack", {{"code", 2}}}};
        return told == wire::Version::v5 ? Json{{"connack", {{"code", code}}}} : Json();
    }
    if (row.version != wire::Version::v5) return {};
    // What only a server sends, and AUTH without a method, is refused by its type alone or by its content.
    const bool either = type == PacketType::connack || type == PacketType::suback ||
                        type == PacketType::unsuback || type == PacketType::pingresp ||
                        type == PacketType::auth;
    if (either) return {{"disconnect", {{"code", {{"any", {129, 130}}}}}}};
    return {{"disconnect", {{"code", code}}}};
}

Conversation as_conversation(const Vector& row) {
    const auto type = static_cast<wire::PacketType>(row.bytes[0] >> 4);
    std::string text;
    static constexpr char digits[] = "0123456789abcdef";
    for (const std::uint8_t byte : row.bytes) text += {digits[byte >> 4], digits[byte & 15]};
    std::optional<wire::Version> told;
    if (type == wire::PacketType::connect && row.bytes.size() > 2)
        told = wire::peek_version(Bytes(row.bytes).subspan(2));
    const Json answer = wanted_answer(row, type, told);
    Conversation one;
    one.steps = Json::array();
    if (type != wire::PacketType::connect)
        one.steps.push_back({"a", "hello", {{"id", "raw"}, {"level", static_cast<int>(row.version)}}});
    one.steps.push_back({"a", "send", text});
    if (answer.contains("connack") && told != wire::Version::v5) {
        const int code = answer["connack"]["code"];
        one.steps.push_back({"a", "expect", code == 1 ? "20020001" : "20020002"});
    } else if (!answer.is_null()) {
        one.steps.push_back({"a", "expect", answer});
    }
    one.steps.push_back({"a", "closed"});
    return one;
}

TEST_F(MalformedTest, EveryPacket) {
    among_bystanders([this] {
        std::size_t sent = 0;
        for (const std::string& file : vector_files()) {
            for (const Vector& row : load_vectors(file)) {
                if (row.expect == "ok" || row.expect == "incomplete") continue;
                try {
                    Player(*this, whole).play(as_conversation(row));
                } catch (const Mismatch& wrong) {
                    ADD_FAILURE() << file << ": " << row.name << ": " << wrong.what();
                }
                ++sent;
            }
        }
        EXPECT_GE(sent, 300U);
    });
}

}  // namespace
}  // namespace sluice::test
