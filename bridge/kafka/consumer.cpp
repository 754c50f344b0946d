#include "bridge/kafka/consumer.hpp"

#include <fmt/format.h>
#include <syslog.h>

#include <array>
#include <string_view>
#include <utility>

#include "base/log.hpp"

namespace sluice::bridge::kafka {
namespace {

struct ListDeleter {
    void operator()(rd_kafka_topic_partition_list_t* list) const {
        rd_kafka_topic_partition_list_destroy(list);
    }
};
using ListPtr = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDeleter>;

ListPtr list_of(const PartitionOffsets& positions) {
    ListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
    for (const PartitionOffset& position : positions)
        rd_kafka_topic_partition_list_add(list.get(), position.topic.c_str(), position.partition)->offset =
            position.offset;
    return list;
}

PartitionOffsets positions_of(const rd_kafka_topic_partition_list_t& list) {
    PartitionOffsets positions;
    for (int i = 0; i < list.cnt; ++i)
        positions.push_back({list.elems[i].topic, list.elems[i].partition, list.elems[i].offset});
    return positions;
}

/// Frees it.
rd_kafka_resp_err_t code_of(rd_kafka_error_t* error) {
    if (!error) return RD_KAFKA_RESP_ERR_NO_ERROR;
    const auto code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return code;
}

bool is_cooperative(rd_kafka_t* handle) {
    const char* protocol = rd_kafka_rebalance_protocol(handle);
    return protocol && std::string_view(protocol) == "COOPERATIVE";
}

}  // namespace

Result<std::unique_ptr<Consumer>, std::string> Consumer::open(const rd_kafka_conf_t* conf, int wake_fd,
                                                              std::string bridge_name, ConsumerOwner& owner) {
    std::array<char, 512> text{};
    std::unique_ptr<Consumer> consumer(new Consumer(wake_fd, std::move(bridge_name), owner));
    ConfPtr copy(rd_kafka_conf_dup(conf));
    // Callbacks and not events: only rd_kafka_consumer_poll() counts as a sign of life in every version.
    rd_kafka_conf_set_opaque(copy.get(), static_cast<CertificateProblem*>(&consumer->opaque_));
    rd_kafka_conf_set_rebalance_cb(copy.get(), &on_rebalance);
    rd_kafka_conf_set_error_cb(copy.get(), &on_error);
    rd_kafka_conf_set_log_cb(copy.get(), &on_log);
    rd_kafka_conf_set_oauthbearer_token_refresh_cb(copy.get(), &on_token_refresh);
    rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_CONSUMER, copy.get(), text.data(), text.size());
    if (!handle) return Err{std::string(text.data())};
    static_cast<void>(copy.release());  // now the consumer's
    consumer->adopt(handle);
    return consumer;
}

Consumer::Consumer(int wake_fd, std::string bridge_name, ConsumerOwner& owner)
    : wake_fd_(wake_fd), bridge_name_(std::move(bridge_name)), owner_(owner) {
    opaque_.self = this;
}

void Consumer::adopt(rd_kafka_t* handle) {
    handle_ = handle;
    rd_kafka_set_log_queue(handle_, nullptr);  // nullptr: the main queue
    rd_kafka_poll_set_consumer(handle_);       // and that into the one of records
    queue_ = rd_kafka_queue_get_consumer(handle_);
    commits_ = rd_kafka_queue_new(handle_);
    const std::uint64_t one = 1;  // what an eventfd wants to be written
    rd_kafka_queue_io_event_enable(queue_, wake_fd_, &one, sizeof one);
    rd_kafka_queue_io_event_enable(commits_, wake_fd_, &one, sizeof one);
}

Consumer::~Consumer() {
    tokens_.reset();
    if (!handle_) return;
    for (rd_kafka_queue_t* queue : {queue_, commits_}) {
        rd_kafka_queue_io_event_enable(queue, -1, nullptr, 0);
        rd_kafka_queue_destroy(queue);
    }
    rd_kafka_destroy_flags(handle_, closed_ ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

std::string Consumer::set_token(const TokenSource& source, const Token& token, std::function<void()> wake) {
    auto problem = give_token(handle_, token);
    if (problem.empty()) tokens_ = std::make_unique<TokenKeeper>(handle_, source, token, std::move(wake));
    return problem;
}

std::string Consumer::subscribe(const std::vector<std::string>& topics) {
    const ListPtr list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
    for (const std::string& topic : topics)
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
    const auto error = rd_kafka_subscribe(handle_, list.get());
    return error == RD_KAFKA_RESP_ERR_NO_ERROR ? std::string() : rd_kafka_err2str(error);
}

RecordPtr Consumer::next() {
    while (RecordPtr record{rd_kafka_consumer_poll(handle_, 0)}) {
        if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR) return record;
        const char* said = rd_kafka_message_errstr(record.get());
        const char* topic = record->rkt ? rd_kafka_topic_name(record->rkt) : nullptr;
        owner_.on_problem(topic ? topic : "", record->err, said ? said : rd_kafka_err2str(record->err));
    }
    return nullptr;
}

void Consumer::pause(bool paused) {
    rd_kafka_topic_partition_list_t* all = nullptr;
    if (rd_kafka_assignment(handle_, &all) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const ListPtr list(all);
    if (paused) {
        rd_kafka_pause_partitions(handle_, list.get());
    } else {
        rd_kafka_resume_partitions(handle_, list.get());
    }
}

rd_kafka_resp_err_t Consumer::probe(std::chrono::milliseconds timeout, std::vector<std::string>* topics) {
    const rd_kafka_metadata_t* metadata = nullptr;
    const auto error =
        rd_kafka_metadata(handle_, topics ? 1 : 0, nullptr, &metadata, static_cast<int>(timeout.count()));
    for (int i = 0; topics && metadata && i < metadata->topic_cnt; ++i)
        if (metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR)
            topics->emplace_back(metadata->topics[i].topic);
    if (metadata) rd_kafka_metadata_destroy(metadata);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        last_error_.clear();
        security_error_.clear();
    }
    return error;
}

rd_kafka_resp_err_t Consumer::committed(PartitionOffsets& positions, std::chrono::milliseconds timeout) {
    const ListPtr list = list_of(positions);
    const auto error = rd_kafka_committed(handle_, list.get(), static_cast<int>(timeout.count()));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return error;
    for (int i = 0; i < list->cnt; ++i)
        if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) return list->elems[i].err;
    positions = positions_of(*list);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t Consumer::find_end(PartitionOffset& position, Start start,
                                       std::chrono::milliseconds timeout) {
    std::int64_t low = 0, high = 0;
    const auto error = rd_kafka_query_watermark_offsets(handle_, position.topic.c_str(), position.partition,
                                                        &low, &high, static_cast<int>(timeout.count()));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) position.offset = start == Start::latest ? high : low;
    return error;
}

rd_kafka_resp_err_t Consumer::commit(const PartitionOffsets& positions) {
    return rd_kafka_commit_queue(handle_, list_of(positions).get(), commits_, nullptr, nullptr);
}

std::optional<Consumer::CommitResult> Consumer::next_commit_result() {
    rd_kafka_event_t* event = rd_kafka_queue_poll(commits_, 0);
    if (!event) return std::nullopt;
    CommitResult result;
    result.error = rd_kafka_event_error(event);
    // Not the event's text: for a single partition's error there is none.
    if (const auto* list = rd_kafka_event_topic_partition_list(event)) {
        for (int i = 0; i < list->cnt; ++i) {
            const auto& one = list->elems[i];
            if (result.error == RD_KAFKA_RESP_ERR_NO_ERROR && one.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                result.done.push_back({one.topic, one.partition, one.offset});
            } else if (result.error == RD_KAFKA_RESP_ERR_NO_ERROR) {
                result.error = one.err;
            }
        }
    }
    rd_kafka_event_destroy(event);
    return result;
}

void Consumer::close(std::chrono::steady_clock::time_point until) {
    if (code_of(rd_kafka_consumer_close_queue(handle_, queue_)) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    while (!(closed_ = rd_kafka_consumer_closed(handle_) != 0) && std::chrono::steady_clock::now() < until)
        RecordPtr(rd_kafka_consumer_poll(handle_, 10));
}

Consumer& Consumer::of(void* opaque) {
    return *static_cast<Opaque*>(static_cast<CertificateProblem*>(opaque))->self;
}

void Consumer::on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                            rd_kafka_topic_partition_list_t* list, void* opaque) {
    Consumer& self = of(opaque);
    if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) return self.assign(list);
    self.owner_.on_revoked(positions_of(*list), rd_kafka_assignment_lost(handle) != 0);
    if (is_cooperative(handle)) {
        code_of(rd_kafka_incremental_unassign(handle, list));
    } else {
        rd_kafka_assign(handle, nullptr);
    }
}

void Consumer::assign(rd_kafka_topic_partition_list_t* list) {
    PartitionOffsets positions = positions_of(*list);
    if (!owner_.on_assigned(positions)) {
        rd_kafka_assign(handle_, nullptr);
        return;
    }
    const ListPtr where = list_of(positions);
    const auto error = is_cooperative(handle_) ? code_of(rd_kafka_incremental_assign(handle_, where.get()))
                                               : rd_kafka_assign(handle_, where.get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) owner_.on_problem({}, error, rd_kafka_err2str(error));
}

void Consumer::on_error(rd_kafka_t* handle, int error, const char* text, void* opaque) {
    Consumer& self = of(opaque);
    const auto code = static_cast<rd_kafka_resp_err_t>(error);
    log::debug(fmt::format("kafka: error bridge={} code={} text=\"{}\"", self.bridge_name_,
                           rd_kafka_err2name(code), text));
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        std::array<char, 512> detail{};
        rd_kafka_fatal_error(handle, detail.data(), detail.size());
        self.fatal_ = detail[0] ? std::string(detail.data()) : std::string(text);
    } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        self.all_brokers_down_ = true;
        if (self.last_error_.empty()) self.last_error_ = text;
    } else {
        auto why = explain_security_error(code, text, self.opaque_.take());
        (why.certain ? self.security_error_ : self.last_error_) =
            why.text.empty() ? std::string(text) : why.text;
    }
}

void Consumer::on_log(const rd_kafka_t* handle, int level, const char* facility, const char* text) {
    const auto ours = level <= LOG_CRIT ? log::Level::warn : log::Level::debug;
    log::write(ours, fmt::format("kafka: librdkafka bridge={} {}: {}",
                                 of(rd_kafka_opaque(handle)).bridge_name_, facility, text));
}

void Consumer::on_token_refresh(rd_kafka_t* /*handle*/, const char* /*config*/, void* opaque) {
    if (Consumer& self = of(opaque); self.tokens_) self.tokens_->refresh();
}

}  // namespace sluice::bridge::kafka
