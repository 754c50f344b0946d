/// Dead letters: what a message looks like that waits for an operator, and that it comes back as it was.
#include "bridge/dead_letter.hpp"

#include <gtest/gtest.h>

#include "bridge/dead_letters.hpp"
#include "tests/unit/bridge/messages.hpp"
#include "wire/topic.hpp"

namespace sluice::bridge {
namespace {

using test::sample;

const WallTime refused_at{Millis(1'764'000'000'123)};

std::string text_of(Bytes bytes) {
    return std::string(as_text(bytes));
}

void expect_same(const core::Message& a, const core::Message& b) {
    EXPECT_EQ(text_of(a.body()), text_of(b.body()));
}

TEST(DeadLetter, comes_back_as_it_was_whatever_its_properties_are) {
    sluice::test::PropertyBytes ours;
    ours.user("sluice-dead-route", "x").user("sluice-dead-reason", "y").user("sluice-dead-time", "1");
    sluice::test::PropertyBytes empty_names;
    empty_names.user("", "").user("", "");
    sluice::test::PropertyBytes many;
    for (int i = 0; i < 2000; ++i) many.user("name", "value");
    for (const auto* properties : {&ours, &empty_names, &many}) {
        core::Message::Fields fields;
        fields.topic = "plant/a";
        fields.properties = properties->bytes;
        fields.payload = as_bytes(std::string_view("\0\xff", 2));
        fields.qos = wire::QoS::exactly_once;
        fields.expiry_interval_s = 17;
        const auto message = core::Message::freeze(fields);
        const auto dead = bury(*message, "route", "reason", refused_at);
        const auto buried = look_at(*dead);
        ASSERT_TRUE(buried);
        EXPECT_EQ(buried->route, "route");
        EXPECT_EQ(buried->reason, "reason");
        EXPECT_EQ(buried->refused, refused_at);
        expect_same(*dig_up(*dead, *buried), *message);
    }
}

TEST(DeadLetter, may_be_buried_again) {
    const auto message = sample("payload");
    const auto first = bury(*message, "route", "first", refused_at);
    const auto second = bury(*dig_up(*first, *look_at(*first)), "route", "second", refused_at);
    ASSERT_TRUE(look_at(*second));
    EXPECT_EQ(look_at(*second)->reason, "second");
    expect_same(*dig_up(*second, *look_at(*second)), *message);
}

TEST(DeadLetter, reasons_may_be_any_bytes_of_any_length) {
    for (const std::string& reason :
         {std::string(), std::string("\xff\xfe\0\n", 4), std::string(100'000, 'x'), std::string("f\xc3\xbcr"),
          std::string(999, 'x') + "\xc3\xbc", std::string("\xed\xa0\x80")}) {
        const auto dead = bury(*sample(), "route", reason, refused_at);
        const auto buried = look_at(*dead);
        ASSERT_TRUE(buried) << reason.size();
        EXPECT_LE(buried->reason.size(), 1000U);
        EXPECT_TRUE(wire::is_mqtt_utf8(buried->reason));
        EXPECT_EQ(buried->reason.empty(), reason.empty());
    }
}

TEST(DeadLetter, other_messages_are_none) {
    EXPECT_FALSE(look_at(*sample()));
    sluice::test::PropertyBytes wrong;
    wrong.user("sluice-dead-route", "x").user("sluice-dead-reason", "y").user("sluice-dead-time", "soon");
    core::Message::Fields fields;
    fields.topic = "a";
    fields.properties = wrong.bytes;
    EXPECT_FALSE(look_at(*core::Message::freeze(fields)));
}

/// The queue of a shard, read a window of two at a time, and a lane that refuses all again at once.
class FakeQueue final : public shard::LinkHost {
  public:
    static constexpr shard::LinkNumber dead = 1, lane = 2;

    FakeQueue()
        : letters_({.number = dead,
                    .bridge = "plant",
                    .routes = {{"live", lane}},
                    .age_max = std::chrono::hours(24)},
                   *this, std::make_shared<DeadLetterStats>()) {}

    Now now() override { return now_; }
    void attach_link(shard::LinkNumber, std::uint16_t) override {}
    void detach_link(shard::LinkNumber) override {}
    void confirm(shard::LinkNumber, wire::PacketId) override {}
    void refuse(shard::LinkNumber, wire::PacketId) override {}
    bool give(shard::LinkNumber to, const core::MessagePtr& message) override {
        EXPECT_EQ(to, lane);
        if (full_) return false;
        ++given_;
        if (refuses_again_) put(bury(*message, "live", "again", refused_at));
        return true;
    }
    void read_queue(shard::LinkNumber, core::RowId after) override { reads_.push_back(after); }
    void forget(shard::LinkNumber, const core::QueueEntry& entry) override {
        EXPECT_EQ(queue_.erase(entry.row), 1U) << "forgotten twice";
    }
    core::RowId newest_row() override { return newest_; }

    void put(core::MessagePtr message) { queue_[++newest_] = std::move(message); }
    void put_letter(std::string_view route) { put(bury(*sample(), route, "no", refused_at)); }
    /// Answers of the store, until the link asks nothing more.
    void serve() {
        for (int i = 0; !reads_.empty(); ++i) {
            ASSERT_LT(i, 1000) << "it never ends";
            auto at = queue_.upper_bound(reads_.front());
            reads_.erase(reads_.begin());
            std::vector<core::QueueEntry> window;
            for (; at != queue_.end() && window.size() < 2; ++at)
                window.push_back({.row = at->first, .message = at->second});
            const bool exhausted = at == queue_.end();
            letters_.on_read(std::move(window), exhausted);
        }
    }
    void ask(shard::DeadLetterRequest request) {
        request.answer = [this](const shard::DeadLetterRequest::Answer& answer) {
            answers_.push_back(answer);
        };
        letters_.on_note(std::make_shared<const shard::DeadLetterRequest>(std::move(request)));
    }
    void ask(shard::DeadLetterRequest::Task task, std::vector<core::RowId> ids = {}) {
        shard::DeadLetterRequest request;
        request.task = task;
        request.ids = std::move(ids);
        ask(std::move(request));
    }

    std::map<core::RowId, core::MessagePtr> queue_;
    core::RowId newest_ = 0;
    std::vector<core::RowId> reads_;
    std::vector<shard::DeadLetterRequest::Answer> answers_;
    Now now_{MonoTime{}, refused_at};
    bool full_ = false, refuses_again_ = false;
    int given_ = 0;
    DeadLetters letters_;
};

using Task = shard::DeadLetterRequest::Task;

TEST(DeadLetters, what_is_refused_again_meanwhile_is_not_retried_in_the_same_go) {
    FakeQueue queue;
    queue.refuses_again_ = true;
    for (int i = 0; i < 5; ++i) queue.put_letter("live");
    queue.ask(Task::retry);
    queue.serve();
    ASSERT_EQ(queue.answers_.size(), 1U);
    EXPECT_EQ(queue.answers_[0].done, 5U);
    EXPECT_EQ(queue.given_, 5);
    EXPECT_EQ(queue.queue_.size(), 5U);
}

TEST(DeadLetters, those_without_a_route_stay_and_a_full_spool_ends_it) {
    FakeQueue queue;
    for (const char* route : {"gone", "live", "gone", "live", "live"}) queue.put_letter(route);
    queue.ask(Task::retry);
    queue.serve();
    ASSERT_EQ(queue.answers_.size(), 1U);
    EXPECT_EQ(queue.answers_[0].done, 3U);
    EXPECT_EQ(queue.answers_[0].problem, "the bridge has no route 'gone' any more");
    EXPECT_EQ(queue.queue_.size(), 2U);
    queue.full_ = true;
    queue.put_letter("live");
    queue.ask(Task::retry, {6});
    queue.serve();
    ASSERT_EQ(queue.answers_.size(), 2U);
    EXPECT_EQ(queue.answers_[1].done, 0U);
    EXPECT_EQ(queue.answers_[1].problem, "the spool is full");
    EXPECT_EQ(queue.queue_.size(), 3U);
}

TEST(DeadLetters, what_the_spool_would_drop_stays) {
    FakeQueue queue;
    core::Message::Fields fields;
    fields.topic = "a";
    const auto put = [&](std::chrono::hours age, std::optional<std::uint32_t> expiry_interval_s) {
        fields.received = queue.now_.wall - age;
        fields.expiry_interval_s = expiry_interval_s;
        queue.put(bury(*core::Message::freeze(fields), "live", "no", refused_at));
    };
    put(std::chrono::hours(23), {});
    put(std::chrono::hours(25), {});
    put(std::chrono::hours(23), 86'400);
    put(std::chrono::hours(1), 3'600);
    queue.ask(Task::retry, {2});
    queue.ask(Task::retry, {4});
    queue.ask(Task::retry);
    queue.serve();
    ASSERT_EQ(queue.answers_.size(), 3U);
    EXPECT_EQ(queue.answers_[0].problem, "2: it is older than spool.age_max, and would be dropped");
    EXPECT_EQ(queue.answers_[1].problem, "4: its Message Expiry Interval has passed");
    EXPECT_EQ(queue.answers_[2].done, 2U);
    EXPECT_EQ(queue.given_, 2);
    EXPECT_EQ(queue.queue_.size(), 2U);
}

TEST(DeadLetters, ids_that_are_there_and_not_there) {
    FakeQueue queue;
    for (int i = 0; i < 9; ++i) queue.put_letter("live");
    queue.ask(Task::drop, {0, 2, 7, 40});
    queue.ask(Task::show, {3});
    queue.ask(Task::show, {7});
    queue.serve();
    ASSERT_EQ(queue.answers_.size(), 3U);
    EXPECT_EQ(queue.answers_[0].done, 2U);
    EXPECT_EQ(queue.queue_.size(), 7U);
    ASSERT_EQ(queue.answers_[1].letters.size(), 1U);
    EXPECT_EQ(queue.answers_[1].letters[0].id, 3U);
    EXPECT_EQ(queue.answers_[1].letters[0].properties.size(), 4U);
    EXPECT_TRUE(queue.answers_[2].letters.empty()) << "the request before it has dropped it";
}

TEST(DeadLetters, lists_pages_in_order) {
    FakeQueue queue;
    for (int i = 0; i < 5; ++i) queue.put_letter("live");
    shard::DeadLetterRequest request;
    request.after = 1;
    request.count_max = 3;
    queue.ask(request);
    queue.serve();
    ASSERT_EQ(queue.answers_.size(), 1U);
    ASSERT_EQ(queue.answers_[0].letters.size(), 3U);
    EXPECT_EQ(queue.answers_[0].letters[0].id, 2U);
    EXPECT_EQ(queue.answers_[0].letters[2].id, 4U);
    EXPECT_TRUE(queue.answers_[0].letters[0].payload.empty());
}

TEST(DeadLetters, its_end_answers_all_that_wait) {
    FakeQueue queue;
    queue.put_letter("live");
    queue.ask(Task::list);
    queue.ask(Task::drop);
    queue.letters_.end(wire::ReasonCode::server_shutting_down);
    ASSERT_EQ(queue.answers_.size(), 2U);
    for (const auto& answer : queue.answers_) EXPECT_FALSE(answer.problem.empty());
    queue.serve();  // an answer of the store that comes too late
    EXPECT_EQ(queue.answers_.size(), 2U);
    EXPECT_EQ(queue.queue_.size(), 1U);
}

}  // namespace
}  // namespace sluice::bridge
