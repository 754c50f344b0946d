#include "bridge/condition.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bridge/messages.hpp"

namespace sluice::bridge {
namespace {

using test::sample;

constexpr std::string_view reading =
    R"({"temperature": 31.5, "count": 9007199254740993, "big": 18446744073709551615, "ok": true, "off": null,
        "name": "pump \"1\"", "list": [1, {"x": "deep"}], "a b": 2, "obj": {}})";

bool holds(std::string_view text, std::string_view payload = reading) {
    const auto condition = Condition::parse(text);
    EXPECT_TRUE(condition.ok()) << text << ": " << (condition.ok() ? "" : condition.error());
    return condition.ok() && condition->matches(*sample(payload));
}
std::string error_of(std::string_view text) {
    const auto condition = Condition::parse(text);
    return condition.ok() ? "no error" : condition.error();
}

TEST(Condition, in_is_equal_to_one_of_a_list) {
    EXPECT_TRUE(holds("topic[1] in (6, 7, 8)"));
    EXPECT_FALSE(holds("topic[1] in (6, 8)"));
    EXPECT_TRUE(holds("property.site in ('a')"));
    EXPECT_TRUE(holds("payload.name in (payload.off, 'x', \"pump \\\"1\\\"\") and not payload.count in (1)"));
    EXPECT_FALSE(holds("payload.no in (null, 1)"));
    EXPECT_EQ(error_of("qos in 1"), "column 8: expected '(' behind in");
    EXPECT_EQ(error_of("qos in (1 2)"), "column 11: expected ',' or ')'");
    EXPECT_EQ(error_of("qos in ()").substr(0, 28), "column 9: expected a number,");
    std::string many = "qos in (0";
    for (int i = 0; i < 100; ++i) many += ", " + std::to_string(i);
    EXPECT_EQ(error_of(many + ")").substr(12),
              "the condition is too deep; expected at most 64 levels or links");
}

TEST(Condition, compares_payload_fields) {
    EXPECT_TRUE(holds("payload.temperature > 30"));
    EXPECT_FALSE(holds("payload.temperature > 31.5"));
    EXPECT_TRUE(holds("payload.temperature >= 31.5 and payload.temperature <= 31.5"));
    EXPECT_TRUE(holds("payload.temperature == 31.5"));
    EXPECT_TRUE(holds("30 < payload.temperature"));
    EXPECT_TRUE(holds("payload.temperature < 1e3"));
    EXPECT_TRUE(holds("payload.temperature > -1"));
    EXPECT_TRUE(holds("payload.ok == true"));
    EXPECT_TRUE(holds("payload.ok"));
    EXPECT_TRUE(holds("payload.off == null"));
    EXPECT_FALSE(holds("payload.off != null"));
    EXPECT_TRUE(holds(R"(payload.name == 'pump "1"')"));
    EXPECT_TRUE(holds(R"(payload.name == "pump \"1\"")"));
    EXPECT_TRUE(holds("payload.list[0] == 1"));
    EXPECT_TRUE(holds("payload.list[1].x == 'deep'"));
    EXPECT_TRUE(holds("payload['a b'] == 2"));
    EXPECT_TRUE(holds("payload[1][0] == 'x'", R"([0, ["x"]])"));
}

TEST(Condition, whole_numbers_are_exact) {
    EXPECT_TRUE(holds("payload.count == 9007199254740993"));
    EXPECT_FALSE(holds("payload.count == 9007199254740992"));
    EXPECT_TRUE(holds("payload.big > 9223372036854775807"));
    EXPECT_TRUE(holds("payload.x == 1", R"({"x": 1.0})"));
}

TEST(Condition, reads_what_mqtt_says) {
    EXPECT_TRUE(holds("property.site == 'a'")) << "the first of a name counts";
    EXPECT_TRUE(holds("property['two words'] == \"x\""));
    EXPECT_TRUE(holds("topic == 'plant/7/telemetry'"));
    EXPECT_TRUE(holds("topic[1] == '7' and topic[1] == 7 and topic[1] < 10"));
    EXPECT_TRUE(holds("client_id == 'device-7' and user_name == 'ann'"));
    EXPECT_TRUE(holds("qos == 1 and qos >= 1 and retain and retain == true"));
    EXPECT_TRUE(holds("property.limit >= 30"));
    EXPECT_TRUE(holds("payload.temperature > property.limit"));
    EXPECT_TRUE(holds("payload == 'ON'", "ON"));
    EXPECT_TRUE(holds("payload > 20 and payload < 22", "21.5"));
}

TEST(Condition, a_missing_field_makes_every_comparison_false) {
    for (const char* text :
         {"payload.none == 1", "payload.none != 1", "payload.none < 1", "payload.none >= 1",
          "payload.temperature.deeper == 1", "payload.list[7] == 1", "payload.list.x == 1",
          "property.none != 'x'", "topic[9] != 'x'", "payload.none", "payload.none == payload.none"})
        EXPECT_FALSE(holds(text)) << text;
    EXPECT_TRUE(holds("not payload.none == 1"));
    EXPECT_FALSE(holds("payload.temperature > 30", "no json"));
    EXPECT_FALSE(holds("payload.temperature > 30", ""));
}

TEST(Condition, kinds_do_not_mix) {
    EXPECT_FALSE(holds("payload.name == 1"));
    EXPECT_TRUE(holds("payload.name != 1"));
    EXPECT_FALSE(holds("payload.name < 1 or payload.name >= 1"));
    EXPECT_FALSE(holds("payload.x == 30", R"({"x": "30"})")) << "JSON has its own numbers";
    EXPECT_FALSE(holds("payload.ok == 1"));
    EXPECT_FALSE(holds("payload.ok == 'true'"));
    EXPECT_FALSE(holds("payload.obj == null or payload.obj == payload.obj"));
    EXPECT_FALSE(holds("payload.ok < true or payload.off <= null"));
    EXPECT_TRUE(holds("payload.ok != false"));
}

TEST(Condition, exists) {
    EXPECT_TRUE(holds("exists(payload.temperature)"));
    EXPECT_TRUE(holds("exists(payload.off) and exists(payload.obj) and exists( payload.list[1].x )"));
    EXPECT_FALSE(holds("exists(payload.none)"));
    EXPECT_TRUE(holds("exists(property.site) and not exists(property.none) and not exists(topic[3])"));
}

TEST(Condition, and_binds_closer_than_or_and_not_closest) {
    EXPECT_TRUE(holds("true or true and false"));
    EXPECT_FALSE(holds("(true or true) and false"));
    EXPECT_FALSE(holds("not true or false"));
    EXPECT_TRUE(holds("not (true and false)"));
    EXPECT_TRUE(holds("not not true"));
    EXPECT_TRUE(holds("qos==1 and(retain)"));
    EXPECT_TRUE(holds(" ( ( qos == 1 ) ) "));
}

TEST(Condition, errors_name_column_and_expectation) {
    EXPECT_EQ(error_of("payload.x >"),
              "column 12: expected a number, a text in quotes, true, false, null, or one of topic, topic[N], "
              "client_id, user_name, qos, retain, property.NAME, payload, payload.NAME");
    EXPECT_EQ(error_of("qos = 1"), "column 5: expected ==, !=, <, <=, > or >=");
    EXPECT_EQ(error_of("qos == 1 qos"), "column 10: expected 'and', 'or' or the end");
    EXPECT_EQ(error_of("(qos == 1"), "column 10: expected ')'");
    EXPECT_EQ(error_of("topic == 'x"), "column 10: the text is not closed; expected '");
    EXPECT_EQ(error_of("qos == 1x"), "column 8: expected a number such as 3, -0.5 or 1e6");
    EXPECT_EQ(error_of("exists(1)"), "column 8: expected a field, as in exists(payload.x)");
    EXPECT_EQ(error_of("exists payload.x"), "column 8: expected '(' behind exists");
    EXPECT_EQ(error_of("payload.[1] == 1"),
              "column 9: expected a name of letters, digits, '_' and '-'; write [\"...\"] for any other");
    EXPECT_EQ(error_of("topic[x] == 1"), "column 7: expected a number from 0");
    EXPECT_EQ(error_of("topic[1 == 1"), "column 9: expected ']'");
    EXPECT_EQ(error_of("property == 1"), "column 10: expected property.NAME or property[\"NAME\"]");
    EXPECT_NE(error_of(""), "no error");
    EXPECT_NE(error_of("payload.temperatur > 30 and propery.site == 1").find("column 29"), std::string::npos);
}

TEST(Condition, depth_and_length_are_bounded) {
    EXPECT_NE(error_of(std::string(1000, '(') + "qos == 1" + std::string(1000, ')')).find("too deep"),
              std::string::npos);
    std::string nots, ors = "qos == 1", path = "payload";
    for (int i = 0; i < 1000; ++i) nots += "not ";
    for (int i = 0; i < 5000; ++i) ors += " or qos == 1";
    for (int i = 0; i < 1000; ++i) path += ".x";
    EXPECT_NE(error_of(nots + "retain").find("too deep"), std::string::npos);
    EXPECT_NE(error_of(ors).find("too deep"), std::string::npos);
    EXPECT_NE(error_of(path + " == 1").find("too deep"), std::string::npos);
}

TEST(Condition, no_payload_harms_it) {
    const auto condition = Condition::parse("payload.x == 1");
    ASSERT_TRUE(condition.ok());
    const std::string deep(200'000, '[');
    for (const std::string_view payload :
         {std::string_view(deep), std::string_view("\xff\xfe"), std::string_view("{\"x\":1e999}"),
          std::string_view("{\"x\":\"\\ud800\"}"), std::string_view("\0\0", 2),
          std::string_view("{\"x\":1}{}")})
        EXPECT_FALSE(condition->matches(*sample(payload)));
    EXPECT_TRUE(condition->matches(*sample(" {\"x\":1} ")));
}

TEST(Condition, looks_into_the_payload_only_when_it_must) {
    EXPECT_FALSE(Condition::parse("property.site == 'a' and payload == 'x'")->reads_json());
    EXPECT_TRUE(Condition::parse("payload.x == 1")->reads_json());
}

}  // namespace
}  // namespace sluice::bridge
