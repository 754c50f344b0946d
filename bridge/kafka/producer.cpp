#include "bridge/kafka/producer.hpp"

#include <fmt/format.h>
#include <syslog.h>

#include <array>

#include "base/log.hpp"

namespace sluice::bridge::kafka {

Result<std::unique_ptr<Producer>, std::string> Producer::open(const rd_kafka_conf_t* conf, int wake_fd,
                                                              std::string bridge_name) {
    std::array<char, 512> text{};
    ConfPtr copy(rd_kafka_conf_dup(conf));
    auto certificate = std::make_unique<CertificateProblem>();
    rd_kafka_conf_set_opaque(copy.get(), certificate.get());
    rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_PRODUCER, copy.get(), text.data(), text.size());
    if (!handle) return Err{std::string(text.data())};
    static_cast<void>(copy.release());  // now the producer's
    return std::unique_ptr<Producer>(
        new Producer(handle, wake_fd, std::move(bridge_name), std::move(certificate)));
}

Producer::Producer(rd_kafka_t* handle, int wake_fd, std::string bridge_name,
                   std::unique_ptr<CertificateProblem> certificate)
    : handle_(handle),
      queue_(rd_kafka_queue_get_main(handle)),
      bridge_name_(std::move(bridge_name)),
      certificate_(std::move(certificate)) {
    rd_kafka_set_log_queue(handle_, nullptr);  // nullptr: the main queue
    const std::uint64_t one = 1;               // what an eventfd wants to be written
    rd_kafka_queue_io_event_enable(queue_, wake_fd, &one, sizeof one);
}

std::string Producer::set_token(const TokenSource& source, const Token& token, std::function<void()> wake) {
    auto problem = give_token(handle_, token);
    if (problem.empty()) tokens_ = std::make_unique<TokenKeeper>(handle_, source, token, std::move(wake));
    return problem;
}

Producer::~Producer() {
    tokens_.reset();
    rd_kafka_queue_io_event_enable(queue_, -1, nullptr, 0);
    rd_kafka_queue_destroy(queue_);
    rd_kafka_destroy(handle_);
    // Only now: until here librdkafka may read the payloads of in_flight_.
}

rd_kafka_resp_err_t Producer::send(Record& record) {
    in_flight_.push_back(std::make_unique<Flight>());
    Flight* flight = in_flight_.back().get();
    flight->self = std::prev(in_flight_.end());
    const core::Message& message = *record.held.out.message;
    const Bytes payload = message.payload();
    // Never a null pointer: a record without a value would be a tombstone, which deletes its key.
    void* value = payload.data() ? const_cast<std::uint8_t*>(payload.data()) : static_cast<void*>(flight);
    const std::string topic(record.topic);
    rd_kafka_vu_t args[8];
    std::size_t count = 0;
    args[count].vtype = RD_KAFKA_VTYPE_TOPIC;
    args[count++].u.cstr = topic.c_str();
    args[count].vtype = RD_KAFKA_VTYPE_VALUE;
    args[count].u.mem = {value, payload.size()};
    ++count;
    args[count].vtype = RD_KAFKA_VTYPE_OPAQUE;
    args[count++].u.ptr = flight;
    args[count].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    args[count++].u.i64 = record.timestamp_ms;
    if (!record.key.empty()) {
        args[count].vtype = RD_KAFKA_VTYPE_KEY;
        args[count].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
        ++count;
    }
    if (record.headers) {
        args[count].vtype = RD_KAFKA_VTYPE_HEADERS;
        args[count++].u.headers = record.headers.get();
    }
    rd_kafka_error_t* error = rd_kafka_produceva(handle_, args, count);
    if (error) {
        const auto code = rd_kafka_error_code(error);
        rd_kafka_error_destroy(error);
        in_flight_.pop_back();
        return code;
    }
    static_cast<void>(record.headers.release());
    flight->held = std::move(record.held);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void Producer::poll(PollResult& result) {
    while (rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, 0)) {
        switch (rd_kafka_event_type(event)) {
            case RD_KAFKA_EVENT_DR:
                take_reports(event, result);
                break;
            case RD_KAFKA_EVENT_ERROR:
                take_error(event, result);
                break;
            case RD_KAFKA_EVENT_LOG:
                take_log(event);
                break;
            case RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
                if (tokens_) tokens_->refresh();
                break;
            default:
                break;
        }
        rd_kafka_event_destroy(event);
    }
}

void Producer::take_reports(rd_kafka_event_t* event, PollResult& result) {
    while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
        auto* flight = static_cast<Flight*>(message->_private);
        Report report;
        report.held = std::move(flight->held);
        report.error = message->err;
        const bool failed = message->err != RD_KAFKA_RESP_ERR_NO_ERROR;
        if (failed || result.want_topics) report.topic = rd_kafka_topic_name(message->rkt);
        if (failed) report.text = rd_kafka_err2str(message->err);
        result.reports.push_back(std::move(report));
        in_flight_.erase(flight->self);
    }
}

void Producer::take_error(rd_kafka_event_t* event, PollResult& result) {
    const auto code = rd_kafka_event_error(event);
    const char* text = rd_kafka_event_error_string(event);
    log::debug(fmt::format("kafka: error bridge={} code={} text=\"{}\"", bridge_name_,
                           rd_kafka_err2name(code), text));
    if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event)) {
        std::array<char, 512> detail{};
        rd_kafka_fatal_error(handle_, detail.data(), detail.size());
        result.fatal = detail[0] ? std::string(detail.data()) : std::string(text);
    } else if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        result.all_brokers_down = true;
        if (last_error_.empty()) last_error_ = text;
    } else {
        auto why = explain_security_error(code, text, certificate_->take());
        (why.certain ? security_error_ : last_error_) = why.text.empty() ? std::string(text) : why.text;
    }
}

void Producer::take_log(rd_kafka_event_t* event) {
    const char *facility = nullptr, *text = nullptr;
    int level = LOG_DEBUG;
    if (rd_kafka_event_log(event, &facility, &text, &level) != 0) return;
    // What matters reaches the operator as on_down(); these lines are for whoever looks closer.
    const auto ours = level <= LOG_CRIT ? log::Level::warn : log::Level::debug;
    log::write(ours, fmt::format("kafka: librdkafka bridge={} {}: {}", bridge_name_, facility, text));
}

rd_kafka_resp_err_t Producer::probe(std::chrono::milliseconds timeout) {
    const rd_kafka_metadata_t* metadata = nullptr;
    const auto error = rd_kafka_metadata(handle_, 0, nullptr, &metadata, static_cast<int>(timeout.count()));
    if (metadata) rd_kafka_metadata_destroy(metadata);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        last_error_.clear();
        security_error_.clear();
    }
    return error;
}

rd_kafka_resp_err_t Producer::refresh_topic(const std::string& topic, std::chrono::milliseconds timeout) {
    rd_kafka_topic_t* handle = rd_kafka_topic_new(handle_, topic.c_str(), nullptr);
    if (!handle) return RD_KAFKA_RESP_ERR__INVALID_ARG;
    const rd_kafka_metadata_t* metadata = nullptr;
    auto error = rd_kafka_metadata(handle_, 0, handle, &metadata, static_cast<int>(timeout.count()));
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt > 0) error = metadata->topics[0].err;
    if (metadata) rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return error;
}

void Producer::purge(PollResult& result) {
    rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    const auto deadline = Steady::now() + std::chrono::seconds(2);
    poll(result);
    while (!in_flight_.empty() && Steady::now() < deadline) {
        if (rd_kafka_event_t* event = rd_kafka_queue_poll(queue_, 100)) {
            if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR) take_reports(event, result);
            rd_kafka_event_destroy(event);
        }
    }
}

}  // namespace sluice::bridge::kafka
