/// BadTopics: what is waited for, what is refused, and when the cluster is asked. Time is the test's.
#include "bridge/kafka/bad_topics.hpp"

#include <gtest/gtest.h>

namespace sluice::bridge::kafka {
namespace {

using Advice = BadTopics::Advice;
using Fault = BadTopics::Fault;
using Named = BadTopics::Named;
using Verdict = BadTopics::Verdict;
using std::chrono::seconds;

class BadTopicsTest : public ::testing::Test {
  protected:
    Verdict note(Named named, Fault fault) {
        return topics_.note("t", named, fault, "topic t: not there", now_);
    }
    Advice before_send() { return topics_.before_send("t", now_); }

    BadTopics topics_;
    Steady::time_point now_ = Steady::now();
};

TEST_F(BadTopicsTest, what_nobody_complained_of_is_sent) {
    EXPECT_EQ(before_send(), Advice::send);
    EXPECT_EQ(topics_.waited_for(), "");
}

TEST_F(BadTopicsTest, one_of_the_config_is_waited_for_without_end) {
    for (const Fault fault : {Fault::missing, Fault::forbidden}) {
        EXPECT_EQ(note(Named::by_config, fault), Verdict::wait);
        now_ += std::chrono::hours(1);
        EXPECT_EQ(before_send(), Advice::ask);
        EXPECT_EQ(before_send(), Advice::send) << "once for each complaint";
        EXPECT_EQ(topics_.waited_for(), "t");
    }
    topics_.forgive("t");
    EXPECT_TRUE(topics_.empty());
}

TEST_F(BadTopicsTest, a_missing_one_of_a_message_gets_some_time) {
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::wait);
    now_ += seconds(9);
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::wait);
    EXPECT_EQ(topics_.waited_for(), "t");
    now_ += seconds(1);
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::refuse);
    EXPECT_EQ(topics_.waited_for(), "") << "no lane waits for it";
    EXPECT_EQ(topics_.reason_of("t"), "topic t: not there");
}

TEST_F(BadTopicsTest, a_forbidden_one_of_a_message_gets_none) {
    EXPECT_EQ(note(Named::by_message, Fault::forbidden), Verdict::refuse);
}

TEST_F(BadTopicsTest, what_was_given_up_is_asked_for_once_a_minute) {
    note(Named::by_message, Fault::forbidden);
    EXPECT_EQ(before_send(), Advice::refuse);
    now_ += seconds(59);
    EXPECT_EQ(before_send(), Advice::refuse);
    now_ += seconds(1);
    EXPECT_EQ(before_send(), Advice::ask);
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::refuse) << "it has had its time";
    EXPECT_EQ(before_send(), Advice::refuse);
    now_ += seconds(60);
    EXPECT_EQ(before_send(), Advice::ask);
    topics_.forgive("t");
    EXPECT_EQ(before_send(), Advice::send);
}

TEST_F(BadTopicsTest, names_from_messages_do_not_fill_the_memory) {
    for (int i = 0; i < 5000; ++i)
        topics_.note(std::to_string(i), Named::by_message, Fault::forbidden, "no", now_);
    int known = 0;
    for (int i = 0; i < 5000; ++i) known += topics_.before_send(std::to_string(i), now_) == Advice::refuse;
    EXPECT_EQ(known, 1000);
}

}  // namespace
}  // namespace sluice::bridge::kafka
