#include "auth/acl_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.hpp"
#include "tests/support/topic_oracle.hpp"

namespace sluice::auth {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

AclRules rules(std::string_view text) {
    auto parsed = parse_acl(text, "acl");
    EXPECT_TRUE(parsed.ok()) << parsed.error();
    return std::move(parsed).value();
}
std::string error_of(std::string_view text) {
    const auto parsed = parse_acl(text, "/etc/acl");
    return parsed.ok() ? "no error" : parsed.error();
}

bool may_read(const AclRules& acl, std::string_view user, std::string_view topic,
              std::string_view client = "c") {
    return acl.allows(Action::deliver, user, client, topic);
}
bool may_write(const AclRules& acl, std::string_view user, std::string_view topic,
               std::string_view client = "c") {
    return acl.allows(Action::publish, user, client, topic);
}
bool may_subscribe(const AclRules& acl, std::string_view user, std::string_view filter,
                   std::string_view client = "c") {
    return acl.allows(Action::subscribe, user, client, filter);
}

TEST(AclFile, WithoutAMatchNoAccess) {
    const AclRules acl = rules("# nothing here\n\n");
    EXPECT_FALSE(may_read(acl, "", "a"));
    EXPECT_FALSE(may_write(acl, "alice", "a"));
    EXPECT_FALSE(may_subscribe(acl, "alice", "#"));
}

TEST(AclFile, ReadWriteAndBoth) {
    const AclRules acl =
        rules("user alice\ntopic read r/#\ntopic write w/+\ntopic readwrite rw\ntopic plain\n");
    EXPECT_TRUE(may_read(acl, "alice", "r/a/b"));
    EXPECT_TRUE(may_read(acl, "alice", "r"));
    EXPECT_FALSE(may_write(acl, "alice", "r/a"));
    EXPECT_TRUE(may_write(acl, "alice", "w/a"));
    EXPECT_FALSE(may_write(acl, "alice", "w/a/b"));
    EXPECT_FALSE(may_read(acl, "alice", "w/a"));
    for (const char* topic : {"rw", "plain"}) {
        EXPECT_TRUE(may_read(acl, "alice", topic));
        EXPECT_TRUE(may_write(acl, "alice", topic));
    }
    EXPECT_FALSE(may_subscribe(acl, "alice", "w/a"));
}

TEST(AclFile, LinesBeforeTheFirstUserAreForAnonymousClients) {
    const AclRules acl = rules(
        "topic read public/#\nuser alice\ntopic alice/#\nuser bob\ntopic bob/#\nuser alice\n"
        "topic more\n");
    EXPECT_TRUE(may_read(acl, "", "public/x"));
    EXPECT_FALSE(may_read(acl, "alice", "public/x"));
    EXPECT_TRUE(may_read(acl, "alice", "alice/x"));
    EXPECT_TRUE(may_read(acl, "alice", "more"));
    EXPECT_FALSE(may_read(acl, "bob", "alice/x"));
    EXPECT_FALSE(may_read(acl, "", "alice/x"));
    EXPECT_FALSE(may_read(acl, "carol", "public/x"));
}

TEST(AclFile, DenyComesFirstWhereverItStands) {
    const AclRules acl = rules("user alice\ntopic site/#\ntopic deny site/secret/#\n");
    EXPECT_TRUE(may_read(acl, "alice", "site/a"));
    EXPECT_FALSE(may_read(acl, "alice", "site/secret"));
    EXPECT_FALSE(may_write(acl, "alice", "site/secret/a"));
    EXPECT_FALSE(may_subscribe(acl, "alice", "site/secret/+"));
    EXPECT_TRUE(may_subscribe(acl, "alice", "site/+"));  // what is denied of it is held back at delivery
}

TEST(AclFile, PatternsApplyToAllUsers) {
    const AclRules acl = rules(
        "user alice\ntopic a\npattern write sensor/%u/data\npattern read client/%c/#\n"
        "pattern read public/#\n");
    EXPECT_TRUE(may_write(acl, "alice", "sensor/alice/data"));
    EXPECT_FALSE(may_write(acl, "alice", "sensor/bob/data"));
    EXPECT_TRUE(may_write(acl, "bob", "sensor/bob/data"));
    EXPECT_FALSE(may_read(acl, "bob", "sensor/bob/data"));
    EXPECT_TRUE(may_read(acl, "", "client/dev7/x", "dev7"));
    EXPECT_FALSE(may_read(acl, "", "client/dev8/x", "dev7"));
    EXPECT_FALSE(may_write(acl, "", "sensor//data"));  // %u of an anonymous client is nobody's
    EXPECT_TRUE(may_read(acl, "", "public/x"));
    EXPECT_TRUE(may_subscribe(acl, "", "client/+/x", "dev7"));
    EXPECT_FALSE(may_subscribe(acl, "", "client/dev8/#", "dev7"));
}

TEST(AclFile, MarksMayStandInsideALevelAndTwice) {
    const AclRules acl = rules("pattern readwrite f/%c-%u/%c/100%\n");
    EXPECT_TRUE(may_read(acl, "u", "f/c-u/c/100%"));
    EXPECT_FALSE(may_read(acl, "u", "f/c-x/c/100%"));
}

// As in mosquitto (CVE-2017-7650): such a name gets nothing from any pattern.
TEST(AclFile, WildcardsInANameWidenNothing) {
    const AclRules acl =
        rules("user #\ntopic own\npattern readwrite u/%u/#\npattern readwrite c/%c/#\npattern p/#\n");
    for (const char* name : {"+", "#", "a+", "b#c"}) {
        EXPECT_FALSE(may_read(acl, name, "u/bob/x")) << name;
        EXPECT_FALSE(may_read(acl, name, std::string("u/") + name + "/x")) << name;
        EXPECT_FALSE(may_read(acl, "bob", "c/other/x", name)) << name;
        EXPECT_FALSE(may_read(acl, "bob", "p/x", name)) << name;
        EXPECT_FALSE(may_subscribe(acl, "bob", "c/#", name)) << name;
    }
    EXPECT_TRUE(may_read(acl, "#", "own"));  // a rule of its own is no substitution
    EXPECT_TRUE(may_read(acl, "bob", "p/x"));
}

// Beyond mosquitto: 'x/y' would reach into another client's branch.
TEST(AclFile, SlashesInANameWidenNothing) {
    const AclRules acl = rules("pattern readwrite c/%c\npattern readwrite u/%u/#\npattern read p/#\n");
    EXPECT_FALSE(may_read(acl, "bob", "c/x/y", "x/y"));
    EXPECT_FALSE(may_read(acl, "x/y", "u/x/y/z"));
    EXPECT_TRUE(may_read(acl, "bob", "u/bob/z", "x/y"));  // the user name is harmless
    EXPECT_TRUE(may_read(acl, "x/y", "p/x"));
    const AclRules denying = rules("pattern deny c/%c\npattern p/#\n");
    EXPECT_TRUE(may_read(denying, "bob", "p/x"));
    EXPECT_FALSE(may_read(denying, "bob", "p/x", "x/y"));
}

TEST(AclFile, ADollarNameDoesNotReachTheBrokersTopics) {
    const AclRules acl = rules("pattern readwrite %c/#\npattern readwrite dev/%c\n");
    EXPECT_TRUE(may_read(acl, "", "x/y", "x"));
    EXPECT_FALSE(may_read(acl, "", "$SYS/broker", "$SYS"));
    EXPECT_FALSE(may_subscribe(acl, "", "$SYS/#", "$SYS"));
    EXPECT_TRUE(may_read(acl, "", "dev/$SYS", "$SYS"));
}

TEST(AclFile, WildcardsDoNotCoverDollarTopics_MQTT_4_7_2_1) {
    const AclRules acl = rules("topic #\nuser admin\ntopic read $SYS/#\n");
    EXPECT_FALSE(may_read(acl, "", "$SYS/broker/uptime"));
    EXPECT_FALSE(may_subscribe(acl, "", "$SYS/#"));
    EXPECT_TRUE(may_subscribe(acl, "", "#"));
    EXPECT_TRUE(may_read(acl, "admin", "$SYS/broker/uptime"));
    EXPECT_FALSE(may_subscribe(acl, "admin", "#"));
}

// As mosquitto: the user's own lines are asked before the patterns.
TEST(AclFile, APatternsDenyDoesNotOverruleAUsersLine) {
    const AclRules acl = rules("user alice\ntopic x/#\npattern deny x/%u/no\n");
    EXPECT_TRUE(may_read(acl, "alice", "x/alice/no"));
}

TEST(AclFile, AnExpansionLongerThanAnyTopicMatchesNothing) {
    std::string pattern = "pattern readwrite ";
    for (int i = 0; i < 100; ++i) pattern += "%c";
    const AclRules acl = rules(pattern);
    const std::string client(60000, 'c');
    EXPECT_FALSE(may_read(acl, "", "a", client));
    EXPECT_TRUE(may_read(acl, "", std::string(100, 'c'), "c"));
}

TEST(AclFile, BlanksAreForgiving) {
    const AclRules acl =
        rules("\t user   alice in chains  \r\n  topic \t read   a topic with blanks \r\n topic read\n");
    EXPECT_TRUE(may_read(acl, "alice in chains", "a topic with blanks"));
    EXPECT_TRUE(may_write(acl, "alice in chains", "read"));  // one word is a filter
}

TEST(AclFile, ErrorsNameFileLineProblemAndExpectation) {
    EXPECT_THAT(error_of("topic a\n\nuser\n"),
                AllOf(StartsWith("/etc/acl:3: "), HasSubstr("expected `user NAME`")));
    EXPECT_THAT(error_of("topic"), AllOf(StartsWith("/etc/acl:1: "), HasSubstr("topic is missing")));
    EXPECT_THAT(error_of("pattern \n"), HasSubstr("topic is missing"));
    EXPECT_THAT(error_of("topic a b"),
                HasSubstr("unknown access `a`; expected read, write, readwrite or deny"));
    EXPECT_THAT(error_of("topic read a/#/b"), HasSubstr("`a/#/b` is no topic filter"));
    EXPECT_THAT(error_of("topics read a"),
                HasSubstr("unknown word `topics`; expected topic, user or pattern"));
    EXPECT_THAT(error_of("topic read " + std::string(70000, 'a')), HasSubstr("is no topic filter"));
}

TEST(AllowAll, Allows) {
    EXPECT_TRUE(make_allow_all_authorizer()->allows(Action::publish, "", "", "$SYS/x"));
}

// Whatever may be delivered may be subscribed to, whatever the filter that leads there; and a filter without
// wildcards is decided exactly.
TEST(AclFile, SubscribeNeverHidesWhatMayBeDelivered) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("SLUICE_SEED=" + std::to_string(seed));
    log::set_level(log::Level::error);
    test::TopicMaker make(seed);
    static constexpr const char* accesses[] = {"read ", "write ", "deny ", "readwrite "};
    for (int round = 0; round < 150; ++round) {
        std::string text = round % 3 == 0 ? "" : "user alice\n";
        for (int i = 0; i < 6; ++i) {
            text += make.below(3) == 0 ? "pattern " : "topic ";
            text += accesses[make.below(4)];
            text += make.filter() + "\n";
        }
        const AclRules acl = rules(text);
        const std::string user = round % 2 == 0 ? "" : "alice";
        for (int i = 0; i < 60; ++i) {
            const std::string topic = make.topic(), filter = make.filter();
            const bool readable = may_read(acl, user, topic);
            ASSERT_EQ(may_subscribe(acl, user, topic), readable) << topic << " by\n" << text;
            if (readable && test::oracle_matches(filter, topic)) {
                ASSERT_TRUE(may_subscribe(acl, user, filter)) << filter << " to " << topic << " by\n" << text;
            }
        }
    }
    log::set_level(log::Level::info);
}

}  // namespace
}  // namespace sluice::auth
