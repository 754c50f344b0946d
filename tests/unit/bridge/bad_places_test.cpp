/// BadPlaces: what is waited for, what is refused, and when the upstream is asked. Time is the test's.
#include "bridge/bad_places.hpp"

#include <gtest/gtest.h>

namespace sluice::bridge {
namespace {

using Advice = BadPlaces::Advice;
using Fault = BadPlaces::Fault;
using Named = BadPlaces::Named;
using Verdict = BadPlaces::Verdict;
using std::chrono::seconds;

class BadPlacesTest : public ::testing::Test {
  protected:
    Verdict note(Named named, Fault fault) {
        return places_.note("t", named, fault, "topic t: not there", now_);
    }
    Advice before_send(Named named) { return places_.before_send("t", named, now_); }

    BadPlaces places_;
    Steady::time_point now_ = Steady::now();
};

TEST_F(BadPlacesTest, what_nobody_complained_of_is_sent) {
    EXPECT_EQ(before_send(Named::by_config), Advice::send);
    EXPECT_EQ(before_send(Named::by_message), Advice::send);
    EXPECT_EQ(places_.waited_for(), "");
}

TEST_F(BadPlacesTest, one_of_the_config_is_waited_for_without_end) {
    for (const Fault fault : {Fault::missing, Fault::forbidden}) {
        EXPECT_EQ(note(Named::by_config, fault), Verdict::wait);
        now_ += std::chrono::hours(1);
        EXPECT_EQ(before_send(Named::by_config), Advice::ask);
        EXPECT_EQ(before_send(Named::by_config), Advice::send) << "once for each complaint";
        EXPECT_EQ(places_.waited_for(), "t");
    }
    places_.delivered("t");
    EXPECT_TRUE(places_.empty());
}

TEST_F(BadPlacesTest, a_missing_one_of_a_message_gets_some_time) {
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::wait);
    now_ += seconds(9);
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::wait);
    EXPECT_EQ(places_.waited_for(), "t");
    now_ += seconds(1);
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::refuse);
    EXPECT_EQ(places_.waited_for(), "") << "no lane waits for it";
    EXPECT_EQ(places_.reason_of("t"), "topic t: not there");
}

TEST_F(BadPlacesTest, a_forbidden_one_of_a_message_gets_none) {
    EXPECT_EQ(note(Named::by_message, Fault::forbidden), Verdict::refuse);
}

TEST_F(BadPlacesTest, what_was_given_up_is_asked_for_once_a_minute) {
    note(Named::by_message, Fault::forbidden);
    EXPECT_EQ(before_send(Named::by_message), Advice::refuse);
    now_ += seconds(59);
    EXPECT_EQ(before_send(Named::by_message), Advice::refuse);
    now_ += seconds(1);
    EXPECT_EQ(before_send(Named::by_message), Advice::ask);
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::refuse) << "it has had its time";
    EXPECT_EQ(before_send(Named::by_message), Advice::refuse);
    now_ += seconds(60);
    EXPECT_EQ(before_send(Named::by_message), Advice::ask);
    places_.delivered("t");
    EXPECT_EQ(before_send(Named::by_message), Advice::send);
}

TEST_F(BadPlacesTest, a_route_that_has_it_written_out_waits_also_when_a_message_has_named_it) {
    note(Named::by_message, Fault::forbidden);
    EXPECT_EQ(before_send(Named::by_config), Advice::ask);
    EXPECT_EQ(note(Named::by_config, Fault::forbidden), Verdict::wait);
    EXPECT_EQ(places_.waited_for(), "t");
    EXPECT_EQ(before_send(Named::by_message), Advice::refuse);
    EXPECT_EQ(before_send(Named::by_config), Advice::ask);
}

TEST_F(BadPlacesTest, where_one_was_given_up_others_get_no_time) {
    note(Named::by_message, Fault::missing);
    now_ += seconds(10);
    note(Named::by_message, Fault::missing);
    EXPECT_EQ(places_.note("u", Named::by_message, Fault::missing, "no", now_), Verdict::refuse);
    now_ += seconds(61);
    EXPECT_EQ(places_.note("v", Named::by_message, Fault::missing, "no", now_), Verdict::wait);
}

TEST_F(BadPlacesTest, one_that_has_taken_messages_has_its_time_whatever_else_is_missing) {
    places_.delivered("good");
    places_.new_connection();
    note(Named::by_message, Fault::missing);
    now_ += seconds(10);
    EXPECT_EQ(note(Named::by_message, Fault::missing), Verdict::refuse);
    const auto good = [&] { return places_.note("good", Named::by_message, Fault::missing, "no", now_); };
    EXPECT_EQ(good(), Verdict::wait) << "the node has just started";
    places_.delivered("good");
    EXPECT_EQ(good(), Verdict::wait);
    now_ += seconds(10);
    EXPECT_EQ(good(), Verdict::refuse) << "somebody has deleted it";
    EXPECT_EQ(good(), Verdict::refuse);
}

TEST_F(BadPlacesTest, what_has_taken_messages_does_not_fill_the_memory) {
    for (int i = 0; i < 5000; ++i) places_.delivered(std::to_string(i));
    places_.note("t", Named::by_message, Fault::forbidden, "no", now_);
    int known = 0;
    for (int i = 0; i < 5000; ++i)
        known +=
            places_.note(std::to_string(i), Named::by_message, Fault::missing, "no", now_) == Verdict::wait;
    EXPECT_EQ(known, 1000);
}

TEST_F(BadPlacesTest, many_that_were_given_up_are_asked_for_one_by_one) {
    for (int i = 0; i < 10; ++i)
        places_.note(std::to_string(i), Named::by_message, Fault::forbidden, "no", now_);
    now_ += seconds(60);
    const auto questions = [&] {
        int asked = 0;
        for (int i = 0; i < 10; ++i)
            asked += places_.before_send(std::to_string(i), Named::by_message, now_) == Advice::ask;
        return asked;
    };
    EXPECT_EQ(questions(), 1);
    EXPECT_EQ(questions(), 0);
    now_ += seconds(1);
    EXPECT_EQ(questions(), 1);
}

TEST_F(BadPlacesTest, what_is_waited_for_is_not_forgotten_for_others) {
    note(Named::by_config, Fault::missing);
    for (int i = 0; i < 5000; ++i)
        places_.note(std::to_string(i), Named::by_message, Fault::forbidden, "no", now_);
    EXPECT_EQ(places_.waited_for(), "t");
}

TEST_F(BadPlacesTest, names_from_messages_do_not_fill_the_memory) {
    for (int i = 0; i < 5000; ++i)
        places_.note(std::to_string(i), Named::by_message, Fault::forbidden, "no", now_);
    int known = 0;
    for (int i = 0; i < 5000; ++i)
        known += places_.before_send(std::to_string(i), Named::by_message, now_) == Advice::refuse;
    EXPECT_EQ(known, 1000);
}

}  // namespace
}  // namespace sluice::bridge
