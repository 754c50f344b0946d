#include "bridge/cloud_event.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bridge/messages.hpp"

namespace sluice::bridge {
namespace {

using sluice::test::PropertyBytes;

constexpr Identity identity{"gate-1", 77};

core::MessagePtr message_with(const PropertyBytes& properties, std::string_view topic = "plant/7") {
    core::Message::Fields fields;
    fields.topic = topic;
    fields.properties = properties.bytes;
    fields.payload = as_bytes(R"({"kind": "temperature", "unit": "°C", "bell": "a\u0007b"})");
    fields.client_id = "device 7/é";
    fields.received = WallTime(std::chrono::milliseconds(1'709'251'199'042));
    return core::Message::freeze(fields);
}

/// "name=value;" of all attributes in their order, or the error.
std::string attributes_of(const core::Message& message, std::string_view type = ce_type_default,
                          std::string_view source = ce_source_default) {
    const auto mapping = CloudEventMapping::parse(type, source, identity.origin);
    if (!mapping) return "parse: " + mapping.error();
    CloudEvent event;
    const MessageView view(message);
    const auto rendered = mapping->render(view, identity, event);
    if (!rendered) return "error: " + rendered.error();
    std::string text;
    for (const auto& [name, value] : event.attributes())
        text += std::string(name) + "=" + std::string(value) + ";";
    return text;
}

TEST(CloudEvent, has_the_required_attributes_and_says_when_and_about_what) {
    EXPECT_EQ(attributes_of(*message_with({})),
              "specversion=1.0;id=gate-1-77;source=/mqtt/gate-1;type=sluice.mqtt.publish;"
              "time=2024-02-29T23:59:59.042Z;subject=plant/7;");
}

TEST(CloudEvent, type_and_source_are_templates_and_the_source_stays_a_uri) {
    EXPECT_EQ(attributes_of(*message_with({}), "com.example.{payload.kind}",
                            "//{origin}/{client_id}?unit={payload.unit}"),
              "specversion=1.0;id=gate-1-77;source=//gate-1/device%207/%C3%A9?unit=%C2%B0C;"
              "type=com.example.temperature;time=2024-02-29T23:59:59.042Z;subject=plant/7;");
}

TEST(CloudEvent, what_cannot_be_an_attribute_is_an_error) {
    const auto message = message_with({});
    EXPECT_EQ(attributes_of(*message, "{payload.no}"),
              "error: '{payload.no}': the payload has no payload.no");
    EXPECT_EQ(attributes_of(*message, "x", "{property.site}"),
              "error: '{property.site}': the message has no user property 'site'");
    EXPECT_EQ(attributes_of(*message, "{payload.no|}"), "error: the event's ce_type is empty");
    EXPECT_EQ(attributes_of(*message, "x", "{payload.no|}"), "error: the event's ce_source is empty");
    EXPECT_EQ(attributes_of(*message, "{payload.bell}").substr(0, 42),
              "error: the event's ce_type has characters ");
    EXPECT_EQ(attributes_of(*message, "{tpoic}").substr(0, 26), "parse: ce_type: column 2: ");
    EXPECT_EQ(attributes_of(*message, "x", "{").substr(0, 28), "parse: ce_source: column 1: ");
    EXPECT_EQ(attributes_of(*message, ""),
              "parse: ce_type: is empty; expected a template of the event's type");
    EXPECT_EQ(attributes_of(*message, "x", ""),
              "parse: ce_source: is empty; expected a template of the event's source");
}

PropertyBytes event_properties() {
    PropertyBytes properties;
    properties.user("specversion", "1.0")
        .user("id", "9")
        .user("source", "/pump")
        .user("type", "com.example.x");
    return properties;
}

TEST(CloudEvent, a_message_that_is_an_event_keeps_its_attributes) {
    auto properties = event_properties();
    properties.user("partitionkey", "k")
        .user("id", "second")
        .user("Not-An-Attribute", "x")
        .user("data", "x")
        .user("bell", "a\x07")
        .user("datacontenttype", "text/plain");
    const auto message = message_with(properties);
    EXPECT_EQ(attributes_of(*message, "{payload.no}"),
              "specversion=1.0;id=9;source=/pump;type=com.example.x;partitionkey=k;");
    const auto mapping = CloudEventMapping::parse("t", "s", "");
    CloudEvent event;
    const MessageView view(*message);
    ASSERT_TRUE(mapping->render(view, identity, event).ok());
    EXPECT_EQ(event.content_type(), "text/plain");
    EXPECT_TRUE(event.owns("partitionkey"));
    EXPECT_TRUE(event.owns("datacontenttype"));
    EXPECT_FALSE(event.owns("Not-An-Attribute"));
    // The same object, filled with the next message.
    const auto plain = message_with({});
    const MessageView plain_view(*plain);
    ASSERT_TRUE(mapping->render(plain_view, {}, event).ok());
    EXPECT_EQ(event.content_type(), "");
    EXPECT_FALSE(event.owns("id"));
    ASSERT_EQ(event.attributes().size(), 6U);
    EXPECT_EQ(event.attributes()[1].value, "0");
}

TEST(CloudEvent, a_message_that_is_no_whole_event_becomes_one) {
    PropertyBytes no_type;
    no_type.user("specversion", "1.0").user("id", "9").user("source", "/pump").user("type", "");
    PropertyBytes other_version;
    other_version.user("specversion", "0.3").user("id", "9").user("source", "/pump").user("type", "x");
    PropertyBytes no_version;
    no_version.user("id", "9").user("source", "/pump").user("type", "x");
    for (const auto* properties : {&no_type, &other_version, &no_version})
        EXPECT_NE(attributes_of(*message_with(*properties)).find("id=gate-1-77;source=/mqtt/gate-1;"),
                  std::string::npos);
}

TEST(CloudEvent, a_payload_that_is_the_whole_event_gets_no_attributes) {
    PropertyBytes structured;
    structured.content_type("Application/CloudEvents+json; charset=utf-8");
    EXPECT_EQ(attributes_of(*message_with(structured)), "");
    PropertyBytes json;
    json.content_type("application/json");
    EXPECT_NE(attributes_of(*message_with(json)), "");
}

TEST(CloudEvent, a_flood_of_attributes_is_cut_off) {
    auto properties = event_properties();
    for (int i = 0; i < 1000; ++i) properties.user("a" + std::to_string(i), "x");
    const auto text = attributes_of(*message_with(properties));
    EXPECT_EQ(std::count(text.begin(), text.end(), ';'), 100);
}

}  // namespace
}  // namespace sluice::bridge
