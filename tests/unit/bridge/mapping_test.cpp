#include "bridge/mapping.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bridge/messages.hpp"

namespace sluice::bridge {
namespace {

using test::sample;

std::string rendered(std::string_view text, const core::Message& message) {
    const auto parsed = Template::parse(text);
    if (!parsed) return "parse: " + parsed.error();
    const auto result = parsed->render(message);
    return result ? *result : "error: " + result.error();
}

TEST(Template, renders_each_placeholder) {
    const auto message = sample();
    EXPECT_EQ(rendered("", *message), "");
    EXPECT_EQ(rendered("plain", *message), "plain");
    EXPECT_EQ(rendered("{topic}", *message), "plant/7/telemetry");
    EXPECT_EQ(rendered("telemetry.{topic[1]}", *message), "telemetry.7");
    EXPECT_EQ(rendered("{topic[0]}-{topic[2]}", *message), "plant-telemetry");
    EXPECT_EQ(rendered("{client_id}/{user_name}/{qos}", *message), "device-7/ann/1");
    EXPECT_EQ(rendered("{property.site}", *message), "a");
    EXPECT_EQ(rendered("{property.two words}", *message), "x");
    EXPECT_EQ(rendered("{{{topic[1]}}}{{}}", *message), "{7}{}");
}

TEST(Template, levels_may_be_empty) {
    EXPECT_EQ(rendered("<{topic[0]}|{topic[1]}|{topic[2]}>", *sample("", "/a/")), "<|a|>");
}

TEST(Template, a_missing_part_is_an_error_unless_there_is_a_fallback) {
    const auto message = sample();
    EXPECT_EQ(rendered("{topic[3]}", *message), "error: '{topic[3]}': the topic has no level 3");
    EXPECT_EQ(rendered("x{property.no}", *message),
              "error: 'x{property.no}': the message has no user property 'no'");
    EXPECT_EQ(rendered("{topic[3]|unknown}", *message), "unknown");
    EXPECT_EQ(rendered("{property.no|}", *message), "");
    EXPECT_EQ(rendered("{topic[1]|unknown}", *message), "7");
    const auto anonymous = core::Message::freeze({});
    EXPECT_EQ(rendered("{user_name}", *anonymous), "error: '{user_name}': the publisher has no user name");
    EXPECT_EQ(rendered("{client_id}", *anonymous), "");
    EXPECT_EQ(rendered("{client_id|broker}", *anonymous), "broker");
}

TEST(Template, errors_name_column_problem_and_expectation) {
    const auto message = sample();
    EXPECT_EQ(rendered("ab}", *message), "parse: column 3: '}' without a '{'; write '}}' for a brace");
    EXPECT_EQ(rendered("a{topic", *message),
              "parse: column 2: '{' is not closed; expected '}', or write '{{' for a brace");
    EXPECT_EQ(rendered("{topic{x}", *message),
              "parse: column 7: '{' inside of a placeholder; expected '}' before it");
    EXPECT_EQ(rendered("{tpoic}", *message),
              "parse: column 2: unknown placeholder 'tpoic'; expected topic, topic[N], client_id, "
              "user_name, qos, retain, content_type, date, received, property.NAME or payload.NAME");
    EXPECT_EQ(rendered("{property.}", *message),
              "parse: column 11: the property has no name; expected {property.NAME}");
    for (const char* bad : {"{topic[]}", "{topic[-1]}", "{topic[1}", "{topic[1]x}", "{topic[99999999999]}"})
        EXPECT_EQ(rendered(bad, *message),
                  "parse: column 8: bad topic level; expected a number from 0 and ']', as in {topic[1]}")
            << bad;
    EXPECT_NE(rendered("{}", *message).find("unknown placeholder ''"), std::string::npos);
}

constexpr std::string_view reading =
    R"({"site": "north", "n": -7, "t": 21.50, "whole": 21.0, "huge": 18446744073709551615, "ok": true,
        "off": null, "list": [1, {"a b": "deep", "x}|y": "odd"}], "object": {}, "empty": "", "é": 1e300})";

TEST(Template, renders_fields_of_a_json_payload) {
    const auto message = sample(reading);
    EXPECT_EQ(rendered("x.{payload.site}.y", *message), "x.north.y");
    EXPECT_EQ(rendered("{payload.n}/{payload.t}/{payload.whole}", *message), "-7/21.5/21");
    EXPECT_EQ(rendered("{payload.huge}", *message), "18446744073709551615");
    EXPECT_EQ(rendered("{payload[\"é\"]}", *message), "1e+300");
    EXPECT_EQ(rendered("{payload.ok}", *message), "true");
    EXPECT_EQ(rendered("<{payload.empty}>", *message), "<>");
    EXPECT_EQ(rendered("{payload.list[0]}", *message), "1");
    EXPECT_EQ(rendered("{payload.list[1][\"a b\"]}", *message), "deep");
    EXPECT_EQ(rendered("{payload.list[1]['x}|y']}|{payload['site']|no}", *message), "odd|north");
    EXPECT_EQ(rendered("{payload[1]}{payload[0]}", *sample("[true, 2]")), "2true");
}

TEST(Template, a_payload_without_the_field_or_without_a_plain_value_there_is_an_error) {
    const auto message = sample(reading);
    EXPECT_EQ(rendered("{payload.no}", *message), "error: '{payload.no}': the payload has no payload.no");
    EXPECT_EQ(rendered("{payload.list[2]}", *message),
              "error: '{payload.list[2]}': the payload has no payload.list[2]");
    EXPECT_EQ(rendered("{payload.site.name}", *message),
              "error: '{payload.site.name}': the payload has no payload.site.name");
    for (const char* field : {"list", "object", "off"})
        EXPECT_EQ(rendered(std::string("{payload.") + field + "}", *message),
                  std::string("error: '{payload.") + field + "}': payload." + field + " is no plain value");
    for (const char* payload : {"", "31.5 degrees", "{\"site\": \"north\"", "\xff"})
        EXPECT_EQ(rendered("{payload.site}", *sample(payload)),
                  "error: '{payload.site}': the payload is no JSON")
            << payload;
    EXPECT_EQ(rendered("{payload.site}", *sample(std::string(1000, '[') + std::string(1000, ']'))),
              "error: '{payload.site}': the payload nests deeper than 128");
    EXPECT_EQ(rendered("{payload.site}", *sample("{\"site\": 1e999}")),
              "error: '{payload.site}': the payload has a number out of range");
    EXPECT_EQ(rendered("{payload.no|a}{payload.off|b}{payload.list|c}", *message), "abc");
    EXPECT_EQ(rendered("{payload.site|none}", *sample("no json")), "none");
}

TEST(Template, mistakes_in_payload_paths_and_quoted_names_are_named) {
    const auto message = sample(reading);
    EXPECT_EQ(rendered("{payload}", *message).substr(0, 47),
              "parse: column 2: unknown placeholder 'payload';");
    EXPECT_EQ(rendered("{payload.}", *message),
              "parse: column 10: expected a name of letters, digits, '_' and '-'; write [\"...\"] for any "
              "other");
    EXPECT_EQ(rendered("{payload[x]}", *message), "parse: column 10: expected a number from 0");
    EXPECT_EQ(rendered("{payload[1}", *message), "parse: column 11: expected ']'");
    EXPECT_EQ(rendered("{payload['a]}", *message), "parse: column 10: the text is not closed; expected '");
    EXPECT_EQ(rendered("{payload.a b}", *message), "parse: column 11: expected '.', '[', '|' or '}'");
    EXPECT_EQ(rendered("{payload.a{}", *message),
              "parse: column 11: '{' inside of a placeholder; expected '}' before it");
    for (const char* open : {"{payload.a", "{payload.a|b", "{property['a']"})
        EXPECT_EQ(rendered(open, *message),
                  "parse: column 1: '{' is not closed; expected '}', or write '{{' for a brace")
            << open;
    EXPECT_EQ(rendered("{property[site]}", *message),
              "parse: column 11: expected the property's name in quotes, as in {property[\"NAME\"]}");
}

TEST(Template, renders_quoted_properties_flags_and_times) {
    core::Message::Fields fields;
    sluice::test::PropertyBytes properties;
    properties.content_type("text/plain").user("a}b", "odd");
    fields.properties = properties.bytes;
    fields.received = WallTime(std::chrono::milliseconds(1'709'251'199'042));
    const auto message = core::Message::freeze(fields);
    EXPECT_EQ(rendered("{property[\"a}b\"]}/{property['c']|none}", *message), "odd/none");
    EXPECT_EQ(rendered("{retain}/{content_type}", *message), "false/text/plain");
    EXPECT_EQ(rendered("{date}", *message), "2024-02-29");
    EXPECT_EQ(rendered("{received}", *message), "2024-02-29T23:59:59.042Z");
    EXPECT_EQ(rendered("{retain}", *sample()), "true");
    EXPECT_EQ(rendered("{content_type}", *sample()),
              "error: '{content_type}': the message has no content type");
    EXPECT_EQ(rendered("{content_type|none}", *sample()), "none");
}

TEST(Template, the_origin_is_a_literal_where_the_connector_knows_it) {
    EXPECT_FALSE(Template::parse("{origin}").ok());
    const auto known = Template::parse("/mqtt/{origin}/x", "gate-1");
    ASSERT_TRUE(known.ok());
    EXPECT_TRUE(known->is_literal());
    EXPECT_EQ(*known->render(*sample()), "/mqtt/gate-1/x");
    EXPECT_NE(Template::parse("{orgin}", "gate-1").error().find("received, origin, property.NAME"),
              std::string::npos);
}

TEST(Template, damaged_properties_count_as_none) {
    core::Message::Fields fields;
    fields.topic = "t";
    const std::uint8_t damaged[] = {0x26, 0xff, 0xff, 1};
    fields.properties = damaged;
    EXPECT_EQ(rendered("{property.site|none}", *core::Message::freeze(fields)), "none");
}

TEST(Template, knows_whether_it_depends_on_the_message) {
    EXPECT_TRUE(Template::parse("a{{b}}")->is_literal());
    EXPECT_TRUE(Template::parse("")->is_literal());
    EXPECT_FALSE(Template::parse("a{topic}")->is_literal());
}

TEST(HeaderList, lists_what_is_there_in_order) {
    sluice::test::PropertyBytes properties;
    properties.payload_format(1).content_type("text/plain").response_topic("r").correlation_data("\xff\xfe");
    properties.user("k", "v1").user("k", "v2");
    core::Message::Fields fields;
    fields.topic = "t";
    fields.properties = properties.bytes;
    fields.client_id = "c";
    fields.received = WallTime(std::chrono::seconds(1000));
    fields.expiry_interval_s = 60;
    const auto message = core::Message::freeze(fields);
    const MessageView view(*message);
    const HeaderList list(view, WallTime(std::chrono::seconds(1020)));
    std::string text;
    for (const auto& header : list.headers())
        text += std::to_string(static_cast<int>(header.field)) + std::string(header.name) + "=" +
                std::string(header.value) + ";";
    EXPECT_EQ(text, "3=t;4=0;5=false;6=c;7=text/plain;8=r;9=\xff\xfe;10=1;11=40;12k=v1;12k=v2;");
    EXPECT_EQ(list.left_out(), 0U);
}

TEST(HeaderList, without_properties_only_the_facts_of_every_message) {
    const auto message = core::Message::freeze({});
    const MessageView view(*message);
    EXPECT_EQ(HeaderList(view, WallTime{}).headers().size(), 3U);
}

}  // namespace
}  // namespace sluice::bridge
