/// What the mqtt connector makes of a server that hangs up: whether a message is why, and which one.
#include <functional>

#include "tests/contract/mqtt_fixture.hpp"

namespace sluice::bridge::test {
namespace {

using sluice::test::FakeMqttLink;
using Steady = std::chrono::steady_clock;

class MqttConnectorHangUp : public MqttConnectorFixture {
  protected:
    /// False: it hangs up.
    using Answer = std::function<bool(FakeMqttLink&, const sluice::test::SeenPublish&)>;

    void start_with_fake(bool is_v5) {
        settings_.bridge("protocol", std::int64_t{is_v5 ? 0 : 1});
        use_fake();
        start();
    }
    /// Lets one connection in and answers what comes on it until it is over, or `longest` has passed.
    std::vector<std::string> serve_one(const Answer& answer, milliseconds longest = milliseconds(20'000)) {
        std::vector<std::string> seen;
        auto link = fake_.welcome();
        const auto deadline = Steady::now() + longest;
        for (;;) {
            const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now());
            const auto publish = link->next_publish(std::max(left, milliseconds(1)));
            if (!publish) return seen;
            seen.push_back(publish->payload);
            if (!answer(*link, *publish)) return seen;
        }
    }
    std::size_t confirmed() {
        return feeder_.read([&] { return feeder_.confirmed_.size(); });
    }
    /// The server takes all but "poison", with which `hang_up` ends the connection. How often that was.
    int serve_poison(std::size_t count, const std::function<void(FakeMqttLink&)>& hang_up) {
        int hang_ups = 0;
        while (confirmed() < count && hang_ups < 20)
            serve_one(
                [&](FakeMqttLink& link, const auto& publish) {
                    if (publish.payload != "poison") return take(link, publish);
                    ++hang_ups;
                    hang_up(link);
                    return false;
                },
                milliseconds(4'000));
        return hang_ups;
    }
    static bool take(FakeMqttLink& link, const sluice::test::SeenPublish& publish) {
        link.send_puback(publish.packet_id);
        return true;
    }
    static void say(FakeMqttLink& link, wire::ReasonCode code) {
        ByteBuffer out;
        wire::encode_disconnect(out, wire::Version::v5, {.code = code, .properties = {}});
        link.send(out);
    }
    void publish_around_poison() {
        publish_numbers(0, 3);
        feeder_.publish_text(0, "plant/a", "poison");
        publish_numbers(3, 6);
        publish_numbers(0, 6, 1);
    }
    /// All but the poison are delivered.
    void expect_only_poison_refused(const std::string& reason) {
        ASSERT_EQ(confirmed(), 13U) << last_down();
        for (std::uint64_t tag = 1; tag <= 13; ++tag)
            EXPECT_EQ(confirm_of(tag, tag > 7 ? 1 : 0).outcome,
                      tag == 4 ? Outcome::refused : Outcome::delivered)
                << tag;
        EXPECT_NE(confirm_of(4).reason.find(reason), std::string::npos) << confirm_of(4).reason;
    }
};

TEST_F(MqttConnectorHangUp, a_message_that_always_costs_the_connection_is_refused) {
    start_with_fake(false);
    publish_around_poison();
    const int hang_ups = serve_poison(13, [](FakeMqttLink&) {});
    EXPECT_GE(hang_ups, 4) << "less is no proof";
    EXPECT_LE(hang_ups, 6);
    expect_only_poison_refused("the server hangs up each time that this message comes");
}

TEST_F(MqttConnectorHangUp, words_that_mean_a_message_need_less_proof) {
    for (const auto code : {wire::ReasonCode::packet_too_large, wire::ReasonCode::not_authorized}) {
        settings_ = make_settings(*settings_.module);
        start_with_fake(true);
        const auto before = confirmed();
        feeder_.publish_text(0, "plant/a", "poison");
        publish_numbers(0, 3);
        EXPECT_EQ(serve_poison(before + 4, [&](FakeMqttLink& link) { say(link, code); }), 3);
        ASSERT_EQ(confirmed(), before + 4) << last_down();
        EXPECT_EQ(confirm_of(before + 1).outcome, Outcome::refused);
        EXPECT_NE(confirm_of(before + 1).reason.find(wire::name_of(code)), std::string::npos)
            << confirm_of(before + 1).reason;
        connector_->stop(milliseconds(0));
    }
}

TEST_F(MqttConnectorHangUp, a_server_that_falls_whatever_is_sent_costs_no_message) {
    start_with_fake(false);
    publish_numbers(0, 5);
    // Nothing is confirmed; the connection goes soon after it came, with and without messages.
    for (int i = 0; i < 6; ++i) serve_one([](FakeMqttLink&, const auto&) { return true; }, milliseconds(300));
    EXPECT_EQ(confirmed(), 0U);
    const auto seen = serve_one(take, milliseconds(4'000));
    EXPECT_EQ(seen, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
    ASSERT_TRUE(feeder_.wait_confirmed(5));
    for (std::uint64_t tag = 1; tag <= 5; ++tag) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
}

TEST_F(MqttConnectorHangUp, a_server_that_goes_away_in_good_order_costs_no_message) {
    for (const auto code : {wire::ReasonCode::server_shutting_down, wire::ReasonCode::server_busy}) {
        settings_ = make_settings(*settings_.module);
        start_with_fake(true);
        const auto before = confirmed();
        feeder_.publish_text(0, "plant/a", "0");
        for (int i = 0; i < 4; ++i)
            serve_one([&](FakeMqttLink& link, const auto&) {
                say(link, code);
                return false;
            });
        EXPECT_EQ(confirmed(), before);
        serve_one(take, milliseconds(500));
        ASSERT_TRUE(feeder_.wait_confirmed(before + 1));
        EXPECT_EQ(confirm_of(before + 1).outcome, Outcome::delivered);
        connector_->stop(milliseconds(0));
    }
}

TEST_F(MqttConnectorHangUp, a_code_without_a_reason_five_times_in_a_row_is_a_refusal) {
    for (const int code : {0x80, 0x83}) {
        settings_ = make_settings(*settings_.module);
        use_fake();
        start();
        auto link = fake_.welcome();
        const auto before = confirmed();
        feeder_.publish_text(0, "plant/a", "poison");
        feeder_.publish_text(0, "plant/a", "next");
        int said = 0;
        bool is_next_taken = false;
        while (said < 5 || !is_next_taken) {
            const auto publish = link->next_publish();
            ASSERT_TRUE(publish);
            const bool is_poison = publish->payload == "poison";
            said += is_poison ? 1 : 0;
            is_next_taken |= !is_poison;
            link->send_puback(publish->packet_id, static_cast<std::uint8_t>(is_poison ? code : 0));
        }
        ASSERT_TRUE(feeder_.wait_confirmed(before + 2));
        EXPECT_EQ(said, 5);
        EXPECT_TRUE(feeder_.wait([&] { return feeder_.stalls_.back().empty(); }));
        EXPECT_EQ(confirm_of(before + 1).outcome, Outcome::refused);
        const auto words = wire::name_of(static_cast<wire::ReasonCode>(code));
        EXPECT_NE(confirm_of(before + 1).reason.find(words), std::string::npos)
            << confirm_of(before + 1).reason;
        EXPECT_EQ(confirm_of(before + 2).outcome, Outcome::delivered);
        EXPECT_EQ(downs(), 0U);
        connector_->stop(milliseconds(0));
    }
}

}  // namespace
}  // namespace sluice::bridge::test
