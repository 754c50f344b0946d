/// What RabbitMQ says when it closes a channel, and whom that may mean.
#include "bridge/amqp/complaint.hpp"

#include <gtest/gtest.h>

#include <string>

#include "bridge/amqp/suspects.hpp"

namespace sluice::bridge::amqp {
namespace {

/// As RabbitMQ cuts it.
std::string cut(std::string text) {
    if (text.size() > 255) text = text.substr(0, 252) + "...";
    return "the server closed the channel: 403 " + text;
}

TEST(AmqpComplaint, names_the_exchange_or_the_key) {
    const auto missing = cut("NOT_FOUND - no exchange 'a' in vhost '/'");
    EXPECT_EQ(named_of(missing, "a", "k"), Named::exchange);
    EXPECT_EQ(named_of(missing, "ab", "k"), Named::nothing);
    EXPECT_EQ(named_of(missing, "", "k"), Named::nothing);
    const auto key =
        cut("ACCESS_REFUSED - access to topic 'k' in exchange 'a' in vhost '/' refused for user 'u'");
    EXPECT_EQ(named_of(key, "a", "k"), Named::key);
    EXPECT_EQ(named_of(key, "a", "k2"), Named::nothing);
    EXPECT_EQ(named_of(key, "b", "k"), Named::nothing);
    const auto write = cut("ACCESS_REFUSED - write access to exchange 'a' in vhost '/' refused for user 'u'");
    EXPECT_EQ(named_of(write, "a", "k"), Named::exchange);
    const auto by_default =
        cut("ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'u'");
    EXPECT_EQ(named_of(by_default, "", "k"), Named::exchange);
    EXPECT_EQ(named_of(cut("PRECONDITION_FAILED - no"), "a", "k"), Named::nothing);
}

TEST(AmqpComplaint, a_cut_name_is_every_one_that_begins_like_it) {
    const std::string name(240, 'n');
    const auto missing = cut("NOT_FOUND - no exchange '" + name + "' in vhost '/'");
    EXPECT_EQ(named_of(missing, name, "k"), Named::exchange);
    EXPECT_EQ(named_of(missing, name + "m", "k"), Named::exchange);
    EXPECT_EQ(named_of(missing, "m" + name, "k"), Named::nothing);
    EXPECT_EQ(named_of(missing, "n", "k"), Named::nothing);
    const std::string behind(200, 'n');
    EXPECT_EQ(
        named_of(cut("NOT_FOUND - no exchange '" + behind + "' in vhost '" + std::string(50, 'v') + "'"),
                 behind, "k"),
        Named::exchange);
    const auto key =
        cut("ACCESS_REFUSED - access to topic '" + name + "' in exchange 'a' in vhost '/' refused");
    EXPECT_EQ(named_of(key, "a", name), Named::key);
    EXPECT_EQ(named_of(key, "a", "k"), Named::nothing);
}

TEST(AmqpComplaint, quotes_in_a_name_lead_nowhere_else) {
    const auto key = cut("ACCESS_REFUSED - access to topic 'a' in exchange 'b' in exchange 'x' in vhost '/'");
    EXPECT_EQ(named_of(key, "x", "a' in exchange 'b"), Named::key);
    EXPECT_EQ(named_of(key, "b", "a"), Named::nothing);
}

TEST(AmqpComplaint, says_the_size_limit) {
    EXPECT_EQ(
        size_limit_of("PRECONDITION_FAILED - message size 5000 is larger than configured max size 3000"),
        3000U);
    EXPECT_EQ(size_limit_of("PRECONDITION_FAILED - max size 3000"), std::nullopt);
}

TEST(AmqpComplaint, a_server_in_trouble_blames_no_message) {
    for (const std::uint16_t code : {0, 320, 504, 506, 541}) EXPECT_FALSE(is_about_a_message(code)) << code;
    for (const std::uint16_t code : {403, 404, 406, 501, 502}) EXPECT_TRUE(is_about_a_message(code)) << code;
}

Outgoing message(std::uint32_t lane, std::uint64_t sequence) {
    return {lane, 0, sequence, false, sequence, {}};
}

Unconfirmed unconfirmed(std::uint64_t count) {
    Unconfirmed sent;
    for (std::uint64_t i = 1; i <= count; ++i) sent.add({message(1, i), i});
    return sent;
}

TEST(AmqpSuspects, are_those_unconfirmed_until_the_last_one_is_through) {
    Suspects suspects;
    EXPECT_TRUE(suspects.empty());
    suspects.add(unconfirmed(3));
    EXPECT_TRUE(suspects.contains(message(1, 3)));
    EXPECT_FALSE(suspects.contains(message(1, 4)));
    EXPECT_FALSE(suspects.contains(message(2, 1)));
    suspects.finished(message(1, 2));
    EXPECT_FALSE(suspects.empty());
    suspects.finished(message(1, 3));
    EXPECT_TRUE(suspects.empty());
}

TEST(AmqpSuspects, one_is_guilty_when_it_alone_closes_the_channel_twice) {
    Suspects suspects;
    suspects.add(unconfirmed(3));
    suspects.try_alone(message(1, 1));
    EXPECT_FALSE(suspects.convict());
    suspects.end_trial();  // a new connection
    suspects.try_alone(message(1, 1));
    suspects.finished(message(1, 1));  // this time it was taken
    EXPECT_FALSE(suspects.trying());
    suspects.try_alone(message(1, 2));
    EXPECT_FALSE(suspects.convict());
    suspects.end_trial();
    suspects.try_alone(message(1, 2));
    EXPECT_TRUE(suspects.is_on_trial(message(1, 2)));
    EXPECT_TRUE(suspects.convict());
}

}  // namespace
}  // namespace sluice::bridge::amqp
