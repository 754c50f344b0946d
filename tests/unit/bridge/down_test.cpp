/// Down: from an upstream to the shards and back; and what the topics of its messages are made of.
#include "bridge/down.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "wire/decode.hpp"

namespace sluice::bridge {
namespace {

/// Shards that keep what was posted to them.
class FakeShards final : public shard::InletSet, public shard::Inlet {
  public:
    shard::Inlet& home_of(std::string_view) override { return *this; }
    std::size_t size() const override { return 1; }
    shard::Inlet& at(std::size_t) override { return *this; }
    void post_admission(shard::Admission) override {}
    void post_link(shard::LinkSpec) override {}
    void post_note(shard::LinkNumber, shard::LinkNote) override {}
    void post_remove_link(shard::LinkNumber) override {}
    void post_publish(core::MessagePtr) override {}
    void post_brought(std::shared_ptr<shard::BroughtSink> sink,
                      std::vector<shard::BroughtMessage> messages) override {
        sink_ = std::move(sink);
        largest_letter_ = std::max(largest_letter_, messages.size());
        for (auto& one : messages) brought_.push_back(std::move(one));
    }
    void post_link_sessions(shard::LinkSessionErrand) override {}

    std::shared_ptr<shard::BroughtSink> sink_;
    std::vector<shard::BroughtMessage> brought_;
    std::size_t largest_letter_ = 0;
};

class FakeConnector final : public Connector {
  public:
    void start(ConnectorEvents&, std::vector<LaneName>) override {}
    void offer(std::uint64_t, std::vector<Outgoing>) override {}
    void settle(std::vector<Settled> settled) override {
        for (auto& one : settled) settled_.push_back(std::move(one));
    }
    void stop(std::chrono::milliseconds) override {}
    std::vector<Settled> settled_;
};

constexpr std::size_t inflight_max = 10;

class DownWay : public ::testing::Test {
  protected:
    void SetUp() override { down_->attach(connector_); }
    static std::vector<Down::Way> ways() {
        std::vector<Down::Way> list;
        list.push_back({{}, DownTemplate::parse("down/{source}").value()});
        return list;
    }
    static Incoming message(std::uint64_t token, std::string source = "s") {
        Incoming incoming;
        incoming.token = token;
        incoming.source = std::move(source);
        return incoming;
    }
    void take(std::uint64_t first, std::uint64_t end) {
        std::vector<Incoming> some;
        for (; first < end; ++first) some.push_back(message(first));
        down_->take(std::move(some));
    }
    std::vector<std::uint64_t> tokens() const {
        std::vector<std::uint64_t> all;
        for (const auto& one : shards_.brought_) all.push_back(one.token);
        return all;
    }
    FakeShards shards_;
    FakeConnector connector_;
    std::shared_ptr<Down> down_ = std::make_shared<Down>("plant", "gw", ways(), inflight_max, shards_);
};

TEST_F(DownWay, is_settled_when_the_shard_has_it_and_not_before) {
    take(1, 4);
    ASSERT_EQ(tokens(), (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(shards_.brought_[0].message->topic(), "down/s");
    EXPECT_EQ(shards_.brought_[0].message->client_id(), "$bridge/plant");
    EXPECT_TRUE(connector_.settled_.empty());
    EXPECT_EQ(down_->stats().unsettled, 3);
    shards_.sink_->on_brought(2, wire::ReasonCode::success);
    shards_.sink_->on_brought(1, wire::ReasonCode::quota_exceeded);
    ASSERT_EQ(connector_.settled_.size(), 2U);
    EXPECT_TRUE(connector_.settled_[0].kept);
    EXPECT_FALSE(connector_.settled_[1].kept);
    EXPECT_NE(connector_.settled_[1].reason.find("0x97"), std::string::npos) << connector_.settled_[1].reason;
    EXPECT_EQ(down_->stats().received, 3U);
    EXPECT_EQ(down_->stats().kept, 1U);
    EXPECT_EQ(down_->stats().refused, 1U);
    EXPECT_EQ(down_->stats().unsettled, 1);
    down_->detach();
    shards_.sink_->on_brought(3, wire::ReasonCode::success);
    EXPECT_EQ(connector_.settled_.size(), 2U) << "the connector may be gone";
}

TEST_F(DownWay, what_went_up_here_and_what_has_no_topic_stays_out) {
    std::vector<Incoming> some{message(1), message(2, "a+b"), message(3), message(4, "")};
    some[0].origin = "gw";
    some[2].origin = "another";
    down_->take(std::move(some));
    EXPECT_EQ(tokens(), (std::vector<std::uint64_t>{3, 4}));
    ASSERT_EQ(connector_.settled_.size(), 2U);
    EXPECT_EQ(connector_.settled_[0].token, 1U);
    EXPECT_TRUE(connector_.settled_[0].kept);
    EXPECT_EQ(connector_.settled_[1].token, 2U);
    EXPECT_FALSE(connector_.settled_[1].kept);
    EXPECT_EQ(down_->stats().own, 1U);
    EXPECT_EQ(down_->stats().refused, 1U);
    EXPECT_EQ(down_->stats().received, 4U);
}

TEST_F(DownWay, what_comes_while_paused_goes_on_in_order) {
    down_->pause(true);
    down_->pause(true);
    take(1, 4);
    take(4, 6);
    EXPECT_TRUE(tokens().empty());
    EXPECT_EQ(down_->stats().received, 0U);
    down_->pause(false);
    take(6, 7);
    EXPECT_EQ(tokens(), (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6}));
}

TEST_F(DownWay, what_is_held_back_is_bounded_however_often_the_upstream_comes_again) {
    down_->pause(true);
    for (std::uint64_t life = 0; life < 100; ++life) take(life * 10, life * 10 + inflight_max);
    down_->pause(false);
    ASSERT_EQ(tokens().size(), inflight_max);
    EXPECT_EQ(tokens().front(), 990U) << "the others are void";
}

TEST_F(DownWay, a_turn_of_a_shard_does_not_get_long) {
    take(0, 1000);
    EXPECT_EQ(tokens().size(), 1000U);
    EXPECT_LE(shards_.largest_letter_, 64U);
}

std::string render(std::string_view text, const Incoming& incoming) {
    const auto parsed = DownTemplate::parse(text);
    if (!parsed) return "parse: " + parsed.error();
    const auto rendered = parsed->render(incoming);
    return rendered ? *rendered : "render: " + rendered.error();
}

TEST(DownTemplate, takes_parts_of_what_came) {
    Incoming incoming;
    incoming.source = "plant.7.cmd";
    incoming.key = "k";
    incoming.mqtt_topic = "a/b/c";
    incoming.headers = {{"site", "x"}, {"empty", ""}};
    EXPECT_EQ(render("{topic}", incoming), "a/b/c");
    EXPECT_EQ(render("{topic[0]}-{topic[2]}", incoming), "a-c");
    EXPECT_EQ(render("{source[1]}/{key}/{header.site}", incoming), "7/k/x");
    EXPECT_EQ(render("{{{source}}}", incoming), "{plant.7.cmd}");
    EXPECT_EQ(render("{topic[3]|none}/{header.no|}", incoming), "none/");
    EXPECT_EQ(render("[{header.empty}]", incoming), "[]");
    EXPECT_EQ(render("{topic[3]}", incoming).substr(0, 7), "render:");
    EXPECT_EQ(render("{header.no}", incoming).substr(0, 7), "render:");
    incoming.source = "plant/7.5/cmd";
    EXPECT_EQ(render("{source[1]}", incoming), "7.5");
    EXPECT_EQ(render("{topic|fallback}", Incoming{}), "fallback");
}

TEST(DownTemplate, mistakes_are_told_with_their_place) {
    for (const char* bad :
         {"{", "}", "{topic", "{topic[}", "{topic[x]}", "{topic[1}", "{topic[-1]}",
          "{topic[99999999999999999999]}", "{nothing}", "{header.}", "{}", "{a{b}}", "{topic[1]x}"}) {
        const auto parsed = DownTemplate::parse(bad);
        ASSERT_FALSE(parsed) << bad;
        EXPECT_EQ(parsed.error().substr(0, 7), "column ") << parsed.error();
    }
}

Result<core::MessagePtr, std::string> made(const Incoming& incoming, std::string_view text,
                                           const DownSettings& settings = {}) {
    return to_message(incoming, DownTemplate::parse(text).value(), settings, "$bridge/plant",
                      WallTime(Millis(5)));
}

TEST(DownMapping, refuses_what_is_no_topic) {
    Incoming incoming;
    for (const std::string& source :
         {std::string("$SYS/x"), std::string("a/+"), std::string("#"), std::string(), std::string("a\0b", 3),
          std::string("\xff"), std::string(70'000, 'x')}) {
        incoming.source = source;
        EXPECT_FALSE(made(incoming, "{source}")) << source.size();
    }
    incoming.source = "a/b";
    EXPECT_TRUE(made(incoming, "{source}"));
}

TEST(DownMapping, takes_the_properties_that_mqtt_can_have) {
    Incoming incoming;
    incoming.payload = "p";
    incoming.retain = true;
    incoming.content_type = "text/plain";
    incoming.response_topic = "bad/#";
    incoming.correlation_data = std::string("\0\xff", 2);
    incoming.payload_is_text = true;
    incoming.expiry_interval_s = 9;
    incoming.headers = {{"good", "1"}, {"bad", "\xff"}, {std::string(70'000, 'x'), "long"}};
    DownSettings settings;
    settings.qos = 2;
    auto message = made(incoming, "t", settings);
    ASSERT_TRUE(message);
    EXPECT_EQ((*message)->qos(), wire::QoS::exactly_once);
    EXPECT_FALSE((*message)->retain());
    EXPECT_EQ((*message)->expiry_interval_s(), 9U);
    const auto properties = wire::decode_publish_properties((*message)->properties());
    ASSERT_TRUE(properties);
    EXPECT_EQ(properties->content_type, "text/plain");
    EXPECT_FALSE(properties->response_topic);
    EXPECT_EQ(as_text(*properties->correlation_data), std::string_view("\0\xff", 2));
    ASSERT_EQ(properties->user_properties.size(), 1U);
    EXPECT_EQ(properties->user_properties[0].name, "good");
    settings.retain = DownRetain::keep;
    EXPECT_TRUE((*made(incoming, "t", settings))->retain());
    incoming.retain = false;
    EXPECT_FALSE((*made(incoming, "t", settings))->retain());
    settings.retain = DownRetain::always;
    EXPECT_TRUE((*made(incoming, "t", settings))->retain());
}

}  // namespace
}  // namespace sluice::bridge
