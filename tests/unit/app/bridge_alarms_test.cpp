#include "app/bridge_alarms.hpp"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

using shard::BridgeState;

TEST(BridgeAlarm, IsRaisedWhenMessagesCannotGoOn) {
    shard::BridgeStatus bridge;
    bridge.name = "plant";
    bridge.spool_messages = 6;
    const auto alarm = [&](BridgeState state) {
        bridge.state = state;
        return bridge_alarm(bridge).value_or("");
    };
    EXPECT_EQ(alarm(BridgeState::stalled),
              "bridge 'plant': connected, but nothing is confirmed while 6 messages wait");
    EXPECT_EQ(alarm(BridgeState::full), "bridge 'plant': the spool is full, with 6 messages");
    bridge.reason = "low on memory";
    EXPECT_EQ(alarm(BridgeState::blocked),
              "bridge 'plant': the upstream makes it wait, with 6 messages: low on memory");
    bridge.dead = 3;
    for (const auto state : {BridgeState::connecting, BridgeState::connected, BridgeState::progressing,
                             BridgeState::paused, BridgeState::stopped})
        EXPECT_EQ(alarm(state), "") << shard::name_of(state);
}

}  // namespace
}  // namespace sluice::app
