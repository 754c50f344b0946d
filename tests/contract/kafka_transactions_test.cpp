/// What delivery exactly once rests on, as a real Kafka does it: transactions, a position that is committed
/// in the same transaction as the records, and the fencing of a producer that was believed dead.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>

#include "tests/contract/kafka_node_peer.hpp"
#include "tests/contract/kafka_records.hpp"

#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-statement-expression"  // librdkafka's RD_KAFKA_V_ macros
#endif

namespace sluice::bridge::test {
namespace {

using Steady = std::chrono::steady_clock;
constexpr int timeout_ms = 20'000;

/// Name of librdkafka's error, with a mark for what the caller is to do; "" when there is none. Frees it.
std::string take(rd_kafka_error_t* error) {
    if (!error) return {};
    std::string text = rd_kafka_error_name(error);
    if (rd_kafka_error_is_fatal(error)) text += " fatal";
    if (rd_kafka_error_txn_requires_abort(error)) text += " abort";
    if (rd_kafka_error_is_retriable(error)) text += " retriable";
    rd_kafka_error_destroy(error);
    return text;
}

struct ClientDeleter {
    void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using Client = std::unique_ptr<rd_kafka_t, ClientDeleter>;

struct Position {
    std::string problem;  ///< not empty: there is no answer
    std::int64_t offset = RD_KAFKA_OFFSET_INVALID;
    std::string metadata;
    bool operator==(const Position&) const = default;
};

class KafkaNodeTransactions : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string why;
        peer_ = peer_of("kafka_real", why);
        if (!peer_) GTEST_SKIP() << why;
        topic_ = std::string("tx-") + ::testing::UnitTest::GetInstance()->current_test_info()->name();
        peer_->ask("topic " + topic_ + " 1");
    }
    Client producer(const std::string& transaction_timeout_ms = "10000") {
        Client made(make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", peer_->address()},
                                                    {"transactional.id", topic_},
                                                    {"transaction.timeout.ms", transaction_timeout_ms}}));
        EXPECT_EQ(take(rd_kafka_init_transactions(made.get(), timeout_ms)), "");
        return made;
    }
    rd_kafka_resp_err_t send(const Client& producer, const std::string& payload) {
        return rd_kafka_producev(producer.get(), RD_KAFKA_V_TOPIC(topic_.c_str()),
                                 RD_KAFKA_V_VALUE(const_cast<char*>(payload.data()), payload.size()),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    }
    static std::string begin(const Client& producer) {
        return take(rd_kafka_begin_transaction(producer.get()));
    }
    static std::string commit(const Client& producer) {
        return take(rd_kafka_commit_transaction(producer.get(), timeout_ms));
    }
    static std::string abort(const Client& producer) {
        return take(rd_kafka_abort_transaction(producer.get(), timeout_ms));
    }
    /// The group has no members: it is a name under which positions are kept.
    std::string send_position(const Client& producer, std::int64_t offset, const std::string& metadata,
                              int partition = 0) {
        rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_t* at = rd_kafka_topic_partition_list_add(list, topic_.c_str(), partition);
        at->offset = offset;
        at->metadata = ::strdup(metadata.c_str());  // the list frees it
        at->metadata_size = metadata.size();
        rd_kafka_consumer_group_metadata_t* group = rd_kafka_consumer_group_metadata_new(topic_.c_str());
        const auto problem =
            take(rd_kafka_send_offsets_to_transaction(producer.get(), list, group, timeout_ms));
        rd_kafka_consumer_group_metadata_destroy(group);
        rd_kafka_topic_partition_list_destroy(list);
        return problem;
    }
    Position position(int wait_ms = timeout_ms, int partition = 0, const char* isolation = "read_committed") {
        const Client consumer(make_client(
            RD_KAFKA_CONSUMER,
            {{"bootstrap.servers", peer_->address()}, {"group.id", topic_}, {"isolation.level", isolation}}));
        rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_t* at = rd_kafka_topic_partition_list_add(list, topic_.c_str(), partition);
        const auto error = rd_kafka_committed(consumer.get(), list, wait_ms);
        Position found{error     ? rd_kafka_err2name(error)
                       : at->err ? rd_kafka_err2name(at->err)
                                 : "",
                       at->offset,
                       {static_cast<const char*>(at->metadata), at->metadata_size}};
        rd_kafka_topic_partition_list_destroy(list);
        return found;
    }
    std::string records(std::size_t count) {
        std::string text;
        for (const auto& record : read_topic(peer_->address(), topic_, count))
            text += record.received.payload;
        return text;
    }
    static void report(const char* what, Steady::time_point begun) {
        ::testing::Test::RecordProperty(
            what, std::to_string(std::chrono::duration<double>(Steady::now() - begun).count()));
    }

    Peer* peer_ = nullptr;
    std::string topic_;
};

TEST_F(KafkaNodeTransactions, records_are_seen_when_committed_and_never_when_aborted) {
    const Client one = producer();
    ASSERT_EQ(begin(one), "");
    EXPECT_EQ(send(one, "a"), 0);
    EXPECT_EQ(rd_kafka_flush(one.get(), timeout_ms), 0);
    EXPECT_EQ(records(0), "") << "of an open transaction";
    ASSERT_EQ(commit(one), "");
    EXPECT_EQ(records(1), "a");
    ASSERT_EQ(begin(one), "");
    EXPECT_EQ(send(one, "b"), 0);
    EXPECT_EQ(rd_kafka_flush(one.get(), timeout_ms), 0);
    ASSERT_EQ(abort(one), "");
    ASSERT_EQ(begin(one), "");
    EXPECT_EQ(send(one, "c"), 0);
    ASSERT_EQ(commit(one), "");
    EXPECT_EQ(records(2), "ac");
}

TEST_F(KafkaNodeTransactions, a_position_of_any_number_and_text_is_committed_with_the_records) {
    EXPECT_EQ(position(), (Position{"", RD_KAFKA_OFFSET_INVALID, ""}));
    const Client one = producer();
    constexpr std::int64_t large = std::int64_t{1} << 62;
    const std::string text(4000, 'm');  // offset.metadata.max.bytes is 4096
    ASSERT_EQ(begin(one), "");
    EXPECT_EQ(send(one, "a"), 0);
    ASSERT_EQ(send_position(one, large, text), "");
    ASSERT_EQ(commit(one), "");
    EXPECT_EQ(position(), (Position{"", large, text}));
    ASSERT_EQ(begin(one), "");
    EXPECT_EQ(send(one, "b"), 0);
    ASSERT_EQ(send_position(one, 7, "less"), "");
    ASSERT_EQ(abort(one), "");
    EXPECT_EQ(position(), (Position{"", large, text}));
    ASSERT_EQ(begin(one), "");
    ASSERT_EQ(send_position(one, 7, "alone"), "") << "without a record, and lower than before";
    ASSERT_EQ(commit(one), "");
    EXPECT_EQ(position(), (Position{"", 7, "alone"}));
    EXPECT_EQ(records(1), "a");
}

TEST_F(KafkaNodeTransactions, a_position_of_an_open_transaction_makes_the_reader_wait_for_its_end) {
    const Client one = producer();
    ASSERT_EQ(begin(one), "");
    ASSERT_EQ(send_position(one, 1, "first"), "");
    ASSERT_EQ(commit(one), "");
    ASSERT_EQ(begin(one), "");
    ASSERT_EQ(send_position(one, 2, "second"), "");
    EXPECT_NE(position(2000).problem, "") << "read_committed asks for what is stable";
    EXPECT_EQ(position(timeout_ms, 0, "read_uncommitted"), (Position{"", 1, "first"}));
    ASSERT_EQ(commit(one), "");
    EXPECT_EQ(position(), (Position{"", 2, "second"}));
}

TEST_F(KafkaNodeTransactions, a_successor_fences_the_zombie_and_ends_its_transaction) {
    const Client zombie = producer("60000");
    ASSERT_EQ(begin(zombie), "");
    EXPECT_EQ(send(zombie, "z"), 0);
    EXPECT_EQ(rd_kafka_flush(zombie.get(), timeout_ms), 0);
    ASSERT_EQ(send_position(zombie, 1, "zombie"), "");
    const auto begun = Steady::now();
    const Client successor = producer("60000");
    report("init_transactions_beside_an_open_one_s", begun);
    EXPECT_EQ(position(), (Position{"", RD_KAFKA_OFFSET_INVALID, ""})) << "at once stable: it was aborted";
    ASSERT_EQ(begin(successor), "");
    EXPECT_EQ(send(successor, "s"), 0);
    ASSERT_EQ(send_position(successor, 2, "successor"), "");
    ASSERT_EQ(commit(successor), "");
    EXPECT_EQ(commit(zombie), "_FENCED fatal");
    std::array<char, 256> text{};
    EXPECT_EQ(rd_kafka_fatal_error(zombie.get(), text.data(), text.size()), RD_KAFKA_RESP_ERR__FENCED)
        << text.data();
    EXPECT_NE(send(zombie, "again"), 0);
    EXPECT_EQ(records(1), "s");
    EXPECT_EQ(position(), (Position{"", 2, "successor"}));
}

TEST_F(KafkaNodeTransactions, a_commit_that_the_node_could_not_answer_is_asked_for_again) {
    const Client one = producer("60000");
    ASSERT_EQ(begin(one), "");
    EXPECT_EQ(send(one, "a"), 0);
    EXPECT_EQ(rd_kafka_flush(one.get(), timeout_ms), 0);
    ASSERT_EQ(send_position(one, 1, "first"), "");
    peer_->down();
    EXPECT_EQ(take(rd_kafka_commit_transaction(one.get(), 500)), "_TIMED_OUT retriable");
    peer_->up();
    EXPECT_EQ(commit(one), "");
    EXPECT_EQ(position(), (Position{"", 1, "first"}));
    EXPECT_EQ(records(1), "a");
}

}  // namespace
}  // namespace sluice::bridge::test
