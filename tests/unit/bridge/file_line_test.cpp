#include "bridge/file/json_line.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/unit/bridge/messages.hpp"

namespace sluice::bridge::file {
namespace {

using nlohmann::json;
using test::sample;

std::string line_of(std::string_view payload, PayloadForm form = PayloadForm::automatic) {
    const auto message = sample(payload);
    std::string line = "before";
    const auto appended = append_line(line, MessageView(*message), {"gw", 7}, {form, true});
    if (!appended) {
        EXPECT_EQ(line, "before");
        return "refused: " + appended.error();
    }
    return line.substr(6);
}
/// What stands behind "payload_encoding".
std::string payload_part(std::string_view payload, PayloadForm form = PayloadForm::automatic) {
    const std::string line = line_of(payload, form);
    const auto at = line.find("\"payload_encoding\":");
    return at == std::string::npos ? line : line.substr(at + 19, line.size() - at - 21);
}

TEST(FileLine, is_one_object_with_all_that_the_message_says) {
    const json line = json::parse(line_of("{\"t\":1}"));
    EXPECT_EQ(line["id"], "gw-7");
    EXPECT_EQ(line["sequence"], 7);
    EXPECT_EQ(line["origin"], "gw");
    EXPECT_EQ(line["topic"], "plant/7/telemetry");
    EXPECT_EQ(line["qos"], 1);
    EXPECT_EQ(line["retain"], true);
    EXPECT_EQ(line["client_id"], "device-7");
    EXPECT_EQ(line["time"], "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(line["properties"], json::parse(R"({"limit":["30"],"site":["a","second"],"two words":["x"]})"));
    EXPECT_EQ(line["payload"], json::parse("{\"t\":1}"));
}

TEST(FileLine, a_payload_has_the_first_form_that_fits) {
    EXPECT_EQ(payload_part("{\"t\":\n [1.50,\t12345678901234567890123]}\r\n"),
              R"("json","payload":{"t":  [1.50, 12345678901234567890123]}  )");
    EXPECT_EQ(payload_part("21.5"), R"("json","payload":21.5)");
    EXPECT_EQ(payload_part("\"a\\nb\""), R"("json","payload":"a\nb")");
    EXPECT_EQ(payload_part(""), R"("text","payload":"")");
    EXPECT_EQ(payload_part("on \"\\\n\x01 ü"), R"("text","payload":"on \"\\\n\u0001 ü")");
    EXPECT_EQ(payload_part("{} {}"), R"("text","payload":"{} {}")");
    EXPECT_EQ(payload_part("\xff"), R"("base64","payload":"/w==")");
    EXPECT_EQ(payload_part("\xff\xfe"), R"("base64","payload":"//4=")");
    EXPECT_EQ(payload_part("\xff\xfe\xfd"), R"("base64","payload":"//79")");
}

TEST(FileLine, what_only_some_parsers_take_for_json_is_text) {
    EXPECT_EQ(payload_part("\xef\xbb\xbf{}"), "\"text\",\"payload\":\"\xef\xbb\xbf{}\"");
    EXPECT_EQ(payload_part(std::string_view("{}\0x", 4)), R"("text","payload":"{}\u0000x")");
    EXPECT_EQ(payload_part("1e999"), R"("text","payload":"1e999")");
    EXPECT_EQ(payload_part("NaN"), R"("text","payload":"NaN")");
    EXPECT_EQ(payload_part("\"\\ud800\""), R"("text","payload":"\"\\ud800\"")");
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_TRUE(payload_part(nested(128)).starts_with("\"json\""));
    EXPECT_TRUE(payload_part(nested(129)).starts_with("\"text\""));
    EXPECT_TRUE(payload_part(std::string(1'000'000, '[')).starts_with("\"text\""));
}

TEST(FileLine, a_wanted_form_is_kept_or_the_message_refused) {
    EXPECT_EQ(payload_part("{}", PayloadForm::text), R"("text","payload":"{}")");
    EXPECT_EQ(payload_part("{}", PayloadForm::base64), R"("base64","payload":"e30=")");
    EXPECT_EQ(payload_part("{}", PayloadForm::json), R"("json","payload":{})");
    EXPECT_TRUE(payload_part("x", PayloadForm::json).starts_with("refused: the payload is no JSON document"));
    EXPECT_TRUE(payload_part("\xff", PayloadForm::text).starts_with("refused: the payload is no UTF-8"));
}

TEST(FileLine, a_hundred_thousand_properties_take_no_time) {
    sluice::test::PropertyBytes properties;
    for (int i = 0; i < 100'000; ++i) properties.user(std::to_string(i % 50'000), "v");
    core::Message::Fields fields;
    fields.topic = "t";
    fields.properties = properties.bytes;
    const auto message = core::Message::freeze(fields);
    std::string line;
    ASSERT_TRUE(append_line(line, MessageView(*message), {}, {}).ok());
    EXPECT_EQ(json::parse(line)["properties"].size(), 50'000U);
}

TEST(FileLine, whatever_a_message_holds_its_line_is_one_json_document) {
    std::mt19937 random(4711);
    const auto bytes = [&random](std::size_t most) {
        // Few different ones, so that quotes, braces, zeros, line ends and UTF-8 come in all combinations.
        static constexpr std::string_view alphabet{"\0\x01\n\r\t\"\\{}[]:,01e.-tru\xc3\xa4\xff\x7f ", 27};
        std::string text(random() % (most + 1), ' ');
        for (char& c : text) c = alphabet[random() % alphabet.size()];
        return text;
    };
    for (int i = 0; i < 20'000; ++i) {
        const std::string topic = bytes(8), client = bytes(8), payload = bytes(12), property = bytes(30);
        core::Message::Fields fields;
        fields.topic = topic;
        fields.client_id = client;
        fields.payload = as_bytes(payload);
        fields.properties = as_bytes(property);
        fields.received = WallTime(Millis(static_cast<std::int64_t>(random()) << (random() % 32)));
        const auto message = core::Message::freeze(fields);
        std::string line;
        for (const bool headers : {false, true}) {
            line.clear();
            ASSERT_TRUE(
                append_line(line, MessageView(*message), {"gw", 1}, {PayloadForm::automatic, headers}).ok());
            ASSERT_EQ(line.find('\n'), line.size() - 1) << line;
            ASSERT_TRUE(json::accept(line)) << line;
            LineCheck check;
            check.feed(line);
            ASSERT_EQ(check.whole_bytes(), line.size()) << line;
        }
    }
}

/// "WHOLE" or "WHOLE damaged"; the same in whatever pieces the bytes come.
std::string checked(std::string_view bytes) {
    LineCheck check;
    check.feed(bytes);
    LineCheck piecewise;
    for (std::size_t i = 0; i < bytes.size(); ++i) piecewise.feed(bytes.substr(i, 1));
    EXPECT_EQ(check.whole_bytes(), piecewise.whole_bytes());
    EXPECT_EQ(check.damaged(), piecewise.damaged());
    return std::to_string(check.whole_bytes()) + (check.damaged() ? " damaged" : "");
}

TEST(FileLine, the_check_finds_where_whole_lines_end) {
    EXPECT_EQ(checked(""), "0");
    EXPECT_EQ(checked("{}\n"), "3");
    EXPECT_EQ(checked("{}\n{\"a\":1}\n"), "11");
    EXPECT_EQ(checked("{}\n{\"a\":"), "3");
    EXPECT_EQ(checked("{}\n{}"), "3");
    EXPECT_EQ(checked(std::string("{}\n") + std::string(5, '\0')), "3");
    EXPECT_EQ(checked(std::string("{}\n{") + std::string(5, '\0') + "}\n{}\n"), "3 damaged");
    EXPECT_EQ(checked("{}\n\n"), "3 damaged");
    EXPECT_EQ(checked("{}\n}\n"), "3 damaged");
    EXPECT_EQ(checked("{}\nx{}\n"), "3 damaged");
    EXPECT_EQ(checked("{}\n{}x\n"), "3 damaged");
    EXPECT_EQ(checked("{\n"), "0 damaged");
}

}  // namespace
}  // namespace sluice::bridge::file
