#pragma once
/// What the tests of Channel share.
#include <gtest/gtest.h>

#include "net/channel.hpp"
#include "tests/unit/net/socket_support.hpp"

namespace sluice::net::test {

inline core::MessagePtr message_of(std::string_view payload) {
    core::Message::Fields fields;
    fields.topic = "t";
    fields.payload = as_bytes(payload);
    return core::Message::freeze(fields);
}

struct ChannelTest : ::testing::Test {
    boost::asio::io_context context;
    Recorder handler;
};

}  // namespace sluice::net::test
