#include "bridge/kafka/transactions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace sluice::bridge::kafka {
namespace {

int to_ms(std::chrono::milliseconds timeout) {
    return static_cast<int>(timeout.count());
}

/// Takes the error over.
Step to_step(const char* call, rd_kafka_error_t* error) {
    if (!error) return {};
    const bool again = rd_kafka_error_is_retriable(error) && !rd_kafka_error_is_fatal(error) &&
                       !rd_kafka_error_txn_requires_abort(error);
    std::string text = fmt::format("{}: {}", call, rd_kafka_error_string(error));
    // Also what a transaction looks like that took longer than its timeout.
    if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__FENCED)
        text += "; another producer has our transactional.id, or the cluster has ended the transaction";
    const auto code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return {again ? Step::End::again : Step::End::lost, std::move(text), code};
}

}  // namespace

std::string make_transactional(rd_kafka_conf_t* conf, const KafkaSettings& settings,
                               const std::string& transactional_id) {
    using std::to_string;
    const auto timeout_ms = settings.transaction_timeout.count();
    const std::pair<const char*, std::string> rows[] = {
        {"transactional.id", transactional_id},
        {"transaction.timeout.ms", to_string(timeout_ms)},
        // librdkafka wants a request to end before its transaction does.
        {"socket.timeout.ms",
         to_string(std::clamp<long>(settings.confirm_timeout.count(), 1000, timeout_ms - 100))},
        // A transaction has several requests one after another that are asked again while its predecessor is
        // being ended: with the default of 100 ms a transaction takes twice as long.
        {"retry.backoff.ms", "10"},
    };
    std::array<char, 512> text{};
    for (const auto& [name, value] : rows)
        if (rd_kafka_conf_set(conf, name, value.c_str(), text.data(), text.size()) != RD_KAFKA_CONF_OK)
            return text.data();
    return {};
}

Step Transactions::init(std::chrono::milliseconds timeout) {
    return to_step("init_transactions", rd_kafka_init_transactions(producer_, to_ms(timeout)));
}

Step Transactions::begin() {
    return to_step("begin_transaction", rd_kafka_begin_transaction(producer_));
}

/// There is no call to ask with; one that does not fit is refused with what is wrong with the transaction.
rd_kafka_resp_err_t Transactions::trouble() {
    const auto error = begin().error;
    return error == RD_KAFKA_RESP_ERR__STATE ? RD_KAFKA_RESP_ERR_NO_ERROR : error;
}

Step Transactions::send_position(const std::string& topic, const std::string& group, const Position& position,
                                 std::chrono::milliseconds timeout) {
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t* at = rd_kafka_topic_partition_list_add(list, topic.c_str(), 0);
    at->offset = static_cast<std::int64_t>(position.sequence);
    const std::string metadata = position.metadata();
    at->metadata = ::strdup(metadata.c_str());  // the list frees it
    at->metadata_size = metadata.size();
    // A group without members: a name under which the position is kept.
    rd_kafka_consumer_group_metadata_t* name = rd_kafka_consumer_group_metadata_new(group.c_str());
    rd_kafka_error_t* error = rd_kafka_send_offsets_to_transaction(producer_, list, name, to_ms(timeout));
    rd_kafka_consumer_group_metadata_destroy(name);
    rd_kafka_topic_partition_list_destroy(list);
    return to_step("send_offsets_to_transaction", error);
}

Step Transactions::commit(std::chrono::milliseconds timeout) {
    return to_step("commit_transaction", rd_kafka_commit_transaction(producer_, to_ms(timeout)));
}

Step Transactions::abort(std::chrono::milliseconds timeout) {
    return to_step("abort_transaction", rd_kafka_abort_transaction(producer_, to_ms(timeout)));
}

}  // namespace sluice::bridge::kafka
