#include "bridge/kafka/positions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <memory>
#include <thread>

namespace sluice::bridge::kafka {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds question_timeout{500};  ///< short, so that a stop() need not wait
constexpr milliseconds question_pause{50};     ///< between two questions
constexpr std::string_view store_prefix = "store=";
constexpr std::string_view received_prefix = "received=";
constexpr std::string_view refused_prefix = "refused=";

struct ClientDeleter {
    void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using Client = std::unique_ptr<rd_kafka_t, ClientDeleter>;
struct ListDeleter {
    void operator()(rd_kafka_topic_partition_list_t* list) const {
        rd_kafka_topic_partition_list_destroy(list);
    }
};
using List = std::unique_ptr<rd_kafka_topic_partition_list_t, ListDeleter>;
struct QueueDeleter {
    void operator()(rd_kafka_queue_t* queue) const { rd_kafka_queue_destroy(queue); }
};

std::string escape(std::string_view text, std::string_view also_plain = {}) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           c == '.' || c == '_' || c == '-' || also_plain.find(c) != std::string_view::npos;
        if (plain) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

/// Waiting may mend it: a node is starting, a coordinator moves, a transaction is being ended.
bool may_pass(rd_kafka_resp_err_t error) {
    switch (error) {
        case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        case RD_KAFKA_RESP_ERR_INVALID_GROUP_ID:
        case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        case RD_KAFKA_RESP_ERR__FATAL:
            return false;
        default:
            return true;
    }
}

/// Empty when the cluster has made it, or somebody else has meanwhile.
std::string create_topic(rd_kafka_t* handle, const std::string& topic) {
    std::array<char, 512> text{};
    constexpr int replicas_of_cluster = -1;
    rd_kafka_NewTopic_t* wanted =
        rd_kafka_NewTopic_new(topic.c_str(), 1, replicas_of_cluster, text.data(), text.size());
    if (!wanted) return text.data();
    const std::unique_ptr<rd_kafka_queue_t, QueueDeleter> queue(rd_kafka_queue_new(handle));
    rd_kafka_AdminOptions_t* options = rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, 4 * static_cast<int>(question_timeout.count()),
                                              nullptr, 0);
    rd_kafka_CreateTopics(handle, &wanted, 1, options, queue.get());
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy(wanted);
    rd_kafka_event_t* event =
        rd_kafka_queue_poll(queue.get(), 8 * static_cast<int>(question_timeout.count()));
    if (!event) return "no answer";
    std::string problem;
    std::size_t count = 0;
    if (rd_kafka_event_error(event)) {
        problem = rd_kafka_event_error_string(event);
    } else if (const rd_kafka_topic_result_t** results =
                   rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
               count > 0) {
        const auto error = rd_kafka_topic_result_error(results[0]);
        const char* said = rd_kafka_topic_result_error_string(results[0]);
        if (error && error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            problem = said ? said : rd_kafka_err2str(error);
    }
    rd_kafka_event_destroy(event);
    return problem;
}

Result<Client, std::string> open_reader(const rd_kafka_conf_t* conf, const std::optional<Token>& token,
                                        const std::string& group) {
    std::array<char, 512> text{};
    ConfPtr copy(rd_kafka_conf_dup(conf));
    const std::pair<const char*, const char*> rows[] = {
        {"group.id", group.c_str()},
        {"isolation.level", "read_committed"},  // what is stable
        {"enable.auto.commit", "false"},
    };
    for (const auto& [name, value] : rows)
        if (rd_kafka_conf_set(copy.get(), name, value, text.data(), text.size()) != RD_KAFKA_CONF_OK)
            return Err{std::string(text.data())};
    // It outlives the client, whose threads write to it.
    static CertificateProblem not_asked;
    rd_kafka_conf_set_opaque(copy.get(), &not_asked);
    Client client(rd_kafka_new(RD_KAFKA_CONSUMER, copy.get(), text.data(), text.size()));
    if (!client) return Err{std::string(text.data())};
    static_cast<void>(copy.release());  // now the client's
    if (token)
        if (auto problem = give_token(client.get(), *token); !problem.empty()) return Err{std::move(problem)};
    return client;
}

}  // namespace

void Position::note_refused(const Outgoing& message) {
    refused.insert(message.sequence);
    if (refused.size() > refused_max) refused.erase(refused.begin());
    received_ms = std::max(received_ms, received_ms_of(message));
}

void Position::add_refused(const Position& other) {
    refused.insert(other.refused.begin(), other.refused.end());
    while (refused.size() > refused_max) refused.erase(refused.begin());
    received_ms = std::max(received_ms, other.received_ms);
}

void Position::note_delivered(const Outgoing& message) {
    refused.erase(message.sequence);
    sequence = std::max(sequence, message.sequence);
    received_ms = std::max(received_ms, received_ms_of(message));
}

std::string Position::metadata() const {
    std::string text = store.empty() ? "" : fmt::format("{}{} ", store_prefix, store);
    text += fmt::format("{}{}", received_prefix, received_ms);
    if (!refused.empty()) text += fmt::format(" {}{}", refused_prefix, fmt::join(refused, ","));
    return text;
}

Position Position::parse(std::int64_t offset, std::string_view metadata) {
    Position position;
    if (offset > 0) position.sequence = static_cast<std::uint64_t>(offset);
    if (const auto found = metadata.find(store_prefix); found != std::string_view::npos) {
        const auto rest = metadata.substr(found + store_prefix.size());
        position.store = rest.substr(0, rest.find(' '));
    }
    const char* const end = metadata.data() + metadata.size();
    if (const auto found = metadata.find(received_prefix); found != std::string_view::npos)
        std::from_chars(metadata.data() + found + received_prefix.size(), end, position.received_ms);
    const auto found = metadata.find(refused_prefix);
    const char* at = found == std::string_view::npos ? end : metadata.data() + found + refused_prefix.size();
    while (at < end) {
        std::uint64_t number = 0;
        const auto [next, error] = std::from_chars(at, end, number);
        if (error != std::errc()) break;
        position.refused.insert(number);
        at = next < end ? next + 1 : end;
    }
    return position;
}

std::string transactional_id_of(std::string_view origin, std::string_view bridge) {
    return fmt::format("sluice-{}/{}", escape(origin), escape(bridge));
}

std::string group_of(std::string_view transactional_id, std::string_view lane) {
    return fmt::format("{}/{}", transactional_id, escape(lane, "/"));
}

std::string ensure_position_topic(Producer& producer, const std::string& topic, const Patience& patience) {
    std::string refusal;
    bool asked = false;
    while (true) {
        const auto error = producer.refresh_topic(topic, question_timeout);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
        const bool missing = error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        if (missing && !std::exchange(asked, true)) refusal = create_topic(producer.handle(), topic);
        if (!may_pass(error) || patience.over() || (missing && !refusal.empty()))
            return fmt::format("position_topic {}: {}{}", topic, rd_kafka_err2str(error),
                               refusal.empty() ? "" : fmt::format(", and it cannot be made: {}", refusal));
        std::this_thread::sleep_for(question_pause);
    }
}

Result<Position, std::string> read_position(const rd_kafka_conf_t* conf, const std::optional<Token>& token,
                                            const std::string& topic, const std::string& group,
                                            const Patience& patience) {
    const auto reader = open_reader(conf, token, group);
    if (!reader) return Err{fmt::format("cannot read the position of {}: {}", group, reader.error())};
    while (true) {
        const List list(rd_kafka_topic_partition_list_new(1));
        rd_kafka_topic_partition_t* at = rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0);
        auto error =
            rd_kafka_committed(reader->get(), list.get(), static_cast<int>(question_timeout.count()));
        if (!error) error = at->err;
        if (!error)
            return Position::parse(at->offset, {static_cast<const char*>(at->metadata), at->metadata_size});
        if (!may_pass(error) || patience.over())
            return Err{fmt::format("cannot read the position of {}: {}", group, rd_kafka_err2str(error))};
        std::this_thread::sleep_for(question_pause);
    }
}

}  // namespace sluice::bridge::kafka
