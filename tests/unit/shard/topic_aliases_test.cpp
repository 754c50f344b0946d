#include "shard/topic_aliases.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace sluice::shard {
namespace {

OutboundAliases::Choice send(OutboundAliases& aliases, std::string_view topic) {
    const auto choice = aliases.choose(topic);
    aliases.sent(choice, topic);
    return choice;
}

TEST(OutboundAliases, ATopicGetsOneWhenItComesAgain) {
    OutboundAliases aliases(2);
    EXPECT_EQ(send(aliases, "plant/one").alias, 0);
    const auto second = send(aliases, "plant/one");
    EXPECT_EQ(second.alias, 1);
    EXPECT_FALSE(second.known);
    const auto third = send(aliases, "plant/one");
    EXPECT_EQ(third.alias, 1);
    EXPECT_TRUE(third.known);
}

// A packet that was too large for the client was never sent.
TEST(OutboundAliases, WhatWasNotSentIsNotKnown) {
    OutboundAliases aliases(1);
    send(aliases, "plant/one");
    for (int i = 0; i < 3; ++i) {
        const auto choice = aliases.choose("plant/one");
        EXPECT_EQ(choice.alias, 1);
        EXPECT_FALSE(choice.known);
    }
    aliases.sent({}, "plant/one");  // it went without
    EXPECT_FALSE(aliases.choose("plant/one").known);
}

TEST(OutboundAliases, AreNotWorthItForShortTopicsNorKeptForLongOnes) {
    OutboundAliases aliases(1);
    const std::string long_topic(2000, 'x');
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(send(aliases, "a/b").alias, 0);
        EXPECT_EQ(send(aliases, long_topic).alias, 0);
    }
}

TEST(OutboundAliases, InUseStay) {
    OutboundAliases aliases(2);
    for (int round = 0; round < 2; ++round) {
        send(aliases, "plant/one");
        send(aliases, "plant/two");
    }
    int saved = 0;
    for (int round = 0; round < 100; ++round) {
        saved += send(aliases, "plant/one").known ? 1 : 0;
        saved += send(aliases, "plant/two").known ? 1 : 0;
        EXPECT_EQ(send(aliases, "plant/three").alias, 0);
    }
    EXPECT_EQ(saved, 200);
}

TEST(OutboundAliases, OutOfUseAreGivenAway) {
    OutboundAliases aliases(2);
    for (int round = 0; round < 2; ++round) {
        send(aliases, "plant/one");
        send(aliases, "plant/two");
    }
    for (int i = 0; i < 100; ++i) send(aliases, "plant/three");
    EXPECT_TRUE(aliases.choose("plant/three").known);
}

// [MQTT-3.1.2-26], [MQTT-3.3.2-11]: never above the maximum; and a client that follows the rules always
// gets the topic that was meant.
TEST(OutboundAliases, AClientUnderstandsThem_MQTT_3_1_2_26) {
    std::mt19937 random(7);
    for (const std::uint16_t maximum : {1, 2, 5, 16}) {
        OutboundAliases aliases(maximum);
        std::map<std::uint16_t, std::string> client;
        int saved = 0;
        for (int i = 0; i < 20'000; ++i) {
            // Some topics come often, and which ones changes with time.
            const int hot = i / 5000 * 10 + static_cast<int>(random() % (maximum + 3U));
            const int any = static_cast<int>(random() % 1000);
            const std::string topic = "plant/" + std::to_string(random() % 4 == 0 ? any : hot);
            const auto choice = aliases.choose(topic);
            ASSERT_LE(choice.alias, maximum);
            if (random() % 10 == 0) continue;  // not sent after all
            aliases.sent(choice, topic);
            if (choice.known) {
                ASSERT_EQ(client[choice.alias], topic);
                ++saved;
            } else if (choice.alias != 0) {
                client[choice.alias] = topic;
            }
        }
        EXPECT_GT(saved, 500) << maximum;
    }
}

}  // namespace
}  // namespace sluice::shard
