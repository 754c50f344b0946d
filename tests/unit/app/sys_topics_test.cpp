#include "app/sys_topics.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice::app {
namespace {

constexpr MonoTime start{Millis(5000)};
constexpr auto second = Millis(1000);

using Texts = std::map<std::string, std::string>;

Texts texts(const std::vector<SysTopics::Value>& values) {
    Texts all;
    for (const auto& value : values)
        EXPECT_TRUE(all.emplace(value.topic, value.text).second) << value.topic << " twice";
    return all;
}

TEST(SysTopics, TellEverythingAtFirstAndThenWhatHasChanged) {
    SysTopics sys("sluice version 1.2.3", start);
    SysNumbers numbers;
    numbers.clients_connected = 3;
    numbers.clients_disconnected = 4;
    numbers.retained_messages = 7;
    Texts all = texts(sys.update(numbers, start));
    EXPECT_EQ(all.size(), SysTopics::topic_count);
    EXPECT_EQ(all["$SYS/broker/version"], "sluice version 1.2.3");
    EXPECT_EQ(all["$SYS/broker/uptime"], "0 seconds");
    EXPECT_EQ(all["$SYS/broker/clients/total"], "7");
    EXPECT_EQ(all["$SYS/broker/clients/connected"], "3");
    EXPECT_EQ(all["$SYS/broker/retained messages/count"], "7");
    EXPECT_EQ(all["$SYS/broker/load/messages/received/1min"], "0.00");
    for (const auto& [topic, text] : all) EXPECT_TRUE(topic.starts_with("$SYS/broker/")) << topic;

    numbers.bytes_sent = 100;
    numbers.clients_connected = 2;
    all = texts(sys.update(numbers, start + 10 * second));
    EXPECT_EQ(all["$SYS/broker/uptime"], "10 seconds");
    EXPECT_EQ(all["$SYS/broker/bytes/sent"], "100");
    EXPECT_EQ(all["$SYS/broker/clients/connected"], "2");
    EXPECT_FALSE(all.contains("$SYS/broker/clients/maximum")) << "still 3";
    EXPECT_FALSE(all.contains("$SYS/broker/version"));
    EXPECT_FALSE(all.contains("$SYS/broker/bytes/received"));
}

TEST(SysTopics, LoadsApproachTheRatePerMinute) {
    SysTopics sys("", start);
    SysNumbers numbers;
    Texts last;
    MonoTime now = start;
    double after_a_minute = 0;
    for (int i = 1; i <= 360; ++i) {
        now += 10 * second;
        numbers.publishes_received += 50;  // 300 per minute
        for (auto& [topic, text] : texts(sys.update(numbers, now))) last[topic] = text;
        if (i == 6) after_a_minute = std::stod(last["$SYS/broker/load/publish/received/1min"]);
    }
    EXPECT_NEAR(after_a_minute, 300 * (1 - std::exp(-1.0)), 0.01);
    EXPECT_NEAR(std::stod(last["$SYS/broker/load/publish/received/1min"]), 300, 0.01);
    EXPECT_NEAR(std::stod(last["$SYS/broker/load/publish/received/5min"]), 300, 0.01);
    EXPECT_NEAR(std::stod(last["$SYS/broker/load/publish/received/15min"]), 300 * (1 - std::exp(-4.0)), 0.01);
    EXPECT_EQ(last["$SYS/broker/load/publish/sent/15min"], "0.00");
}

}  // namespace
}  // namespace sluice::app
