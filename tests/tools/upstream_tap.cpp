/// upstream_tap: reads what arrives at an upstream and prints a line `device seq` for each telemetry message,
/// for as long as it runs; `ready` comes first, once nothing sent from then on can be missed. It outlives
/// outages of the upstream. With --stamps the messages are those of tests/bench/load, and the line is
/// `publisher time sequence`.
///
///     upstream_tap [--stamps] kafka SERVERS TOPIC
///     upstream_tap [--stamps] amqp HOST:PORT QUEUE BINDING...
///                                                       (exchange amq.topic; the queue is made, durable)
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <librdkafka/rdkafka.h>
#include <sys/time.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

bool reads_stamps = false;

/// `publisher time sequence` of a payload of the load generator, whose sequences begin anew after its
/// warm-up.
std::optional<std::string> read_stamp(std::string_view payload) {
    struct {  // as struct Stamp in tests/bench/load/packets.hpp
        std::uint32_t publisher, sequence;
        std::uint64_t sent_ns;
    } stamp{};
    if (payload.size() < sizeof stamp) return std::nullopt;
    std::memcpy(&stamp, payload.data(), sizeof stamp);
    return std::to_string(stamp.publisher) + ' ' + std::to_string(stamp.sent_ns) + ' ' +
           std::to_string(stamp.sequence);
}

/// `device seq` of a telemetry payload.
std::optional<std::string> read_payload(std::string_view payload) {
    if (reads_stamps) return read_stamp(payload);
    const auto json = nlohmann::json::parse(payload, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("device") || !json.contains("seq")) return std::nullopt;
    if (!json["device"].is_string() || !json["seq"].is_number_unsigned()) return std::nullopt;
    return json["device"].get<std::string>() + ' ' + std::to_string(json["seq"].get<std::uint64_t>());
}

/// Tells the reader at once: a line that waits in a buffer looks like a lost message.
void print_line(const std::string& line) {
    std::puts(line.c_str());
    std::fflush(stdout);
}

void print_ready_once() {
    static bool done = false;
    if (!std::exchange(done, true)) print_line("ready");
}

void complain(const std::string& what) {
    std::fprintf(stderr, "upstream_tap: %s\n", what.c_str());
}

void print_message(std::string_view payload) {
    if (auto line = read_payload(payload)) {
        print_line(*line);
    } else {
        complain("not a message to be counted: " + std::string(payload.substr(0, 100)));
    }
}

// ---------------------------------------------------------------------------------------------- Kafka

struct DestroyKafka {
    void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
};
using KafkaHandle = std::unique_ptr<rd_kafka_t, DestroyKafka>;

KafkaHandle make_kafka_consumer(const std::string& servers) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::array<char, 512> error{};
    const std::vector<std::pair<const char*, std::string>> settings = {
        {"bootstrap.servers", servers},
        {"group.id", "upstream_tap"},
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "earliest"},
        {"reconnect.backoff.max.ms", "1000"},
        {"topic.metadata.refresh.interval.ms", "2000"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "100"},
        {"log_level", "0"},
    };
    for (const auto& [name, value] : settings) {
        if (rd_kafka_conf_set(conf, name, value.c_str(), error.data(), error.size()) != RD_KAFKA_CONF_OK) {
            complain(error.data());
            std::exit(2);
        }
    }
    KafkaHandle handle(rd_kafka_new(RD_KAFKA_CONSUMER, conf, error.data(), error.size()));
    if (!handle) {
        complain(error.data());
        std::exit(2);
    }
    rd_kafka_poll_set_consumer(handle.get());
    return handle;
}

/// How many partitions the topic has; 0 when it cannot be learned now.
int partition_count(rd_kafka_t* handle, const std::string& topic) {
    const rd_kafka_metadata_t* metadata = nullptr;
    rd_kafka_topic_t* local = rd_kafka_topic_new(handle, topic.c_str(), nullptr);
    int count = 0;
    if (rd_kafka_metadata(handle, 0, local, &metadata, 2000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            count = metadata->topics[0].partition_cnt;
        }
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(local);
    return count;
}

/// Takes all partitions from their beginning, without a consumer group: a group's coordinator would need time
/// to agree again after each outage.
void assign_all(rd_kafka_t* handle, const std::string& topic) {
    int partitions = 0;
    while ((partitions = partition_count(handle, topic)) == 0) std::this_thread::sleep_for(200ms);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
    for (int partition = 0; partition < partitions; ++partition) {
        rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    const auto error = rd_kafka_assign(handle, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        complain(rd_kafka_err2str(error));
        std::exit(1);
    }
}

/// The mock cluster keeps 5 MiB of a partition: what was thrown away must not pass for lost.
void complain_of_gap(const rd_kafka_message_t& message) {
    static std::map<std::int32_t, std::int64_t> next;
    const std::int64_t due = std::exchange(next[message.partition], message.offset + 1);
    if (message.offset > due)
        complain("the cluster no longer has what came before offset " + std::to_string(message.offset) +
                 " of partition " + std::to_string(message.partition));
}

[[noreturn]] void tap_kafka(const std::string& servers, const std::string& topic) {
    const KafkaHandle handle = make_kafka_consumer(servers);
    assign_all(handle.get(), topic);
    print_ready_once();
    for (;;) {
        rd_kafka_message_t* message = rd_kafka_consumer_poll(handle.get(), 500);
        if (message == nullptr) continue;
        // Errors are outages; the library goes on where it was.
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (reads_stamps) complain_of_gap(*message);
            print_message({static_cast<const char*>(message->payload), message->len});
        }
        rd_kafka_message_destroy(message);
    }
}

// ----------------------------------------------------------------------------------------------- AMQP

struct DestroyAmqp {
    void operator()(amqp_connection_state_t state) const { amqp_destroy_connection(state); }
};
using AmqpConnection = std::unique_ptr<amqp_connection_state_t_, DestroyAmqp>;

constexpr amqp_channel_t channel = 1;

bool succeeded(const amqp_rpc_reply_t& reply) {
    return reply.reply_type == AMQP_RESPONSE_NORMAL;
}

AmqpConnection connect_amqp(const std::string& host, int port) {
    AmqpConnection connection(amqp_new_connection());
    amqp_socket_t* socket = amqp_tcp_socket_new(connection.get());
    timeval patience{2, 0};
    if (amqp_socket_open_noblock(socket, host.c_str(), port, &patience) != AMQP_STATUS_OK) return {};
    // A node that is going down may accept and then say nothing.
    timeval answer{5, 0};
    amqp_set_handshake_timeout(connection.get(), &answer);
    amqp_set_rpc_timeout(connection.get(), &answer);
    constexpr int heartbeat_s = 5;
    if (!succeeded(amqp_login(connection.get(), "/", 0, 131072, heartbeat_s, AMQP_SASL_METHOD_PLAIN, "guest",
                              "guest"))) {
        return {};
    }
    amqp_channel_open(connection.get(), channel);
    if (!succeeded(amqp_get_rpc_reply(connection.get()))) return {};
    return connection;
}

bool subscribe_amqp(amqp_connection_state_t connection, const std::string& queue,
                    const std::vector<std::string>& bindings) {
    const amqp_bytes_t name = amqp_cstring_bytes(queue.c_str());
    amqp_queue_declare(connection, channel, name, /*passive=*/0, /*durable=*/1, /*exclusive=*/0,
                       /*auto_delete=*/0, amqp_empty_table);
    if (!succeeded(amqp_get_rpc_reply(connection))) return false;
    for (const std::string& binding : bindings) {
        amqp_queue_bind(connection, channel, name, amqp_cstring_bytes("amq.topic"),
                        amqp_cstring_bytes(binding.c_str()), amqp_empty_table);
        if (!succeeded(amqp_get_rpc_reply(connection))) return false;
    }
    amqp_basic_qos(connection, channel, 0, /*prefetch_count=*/500, 0);
    if (!succeeded(amqp_get_rpc_reply(connection))) return false;
    // Who counts after the event reads once, and fast.
    amqp_basic_consume(connection, channel, name, amqp_empty_bytes, /*no_local=*/0, /*no_ack=*/reads_stamps,
                       /*exclusive=*/0, amqp_empty_table);
    return succeeded(amqp_get_rpc_reply(connection));
}

/// Prints deliveries until the connection breaks. `printed` holds what was printed: a delivery whose
/// acknowledgement was lost with the connection comes again, which is not the sender's doing.
void consume_amqp(amqp_connection_state_t connection, std::unordered_set<std::string>& printed) {
    for (;;) {
        amqp_maybe_release_buffers(connection);
        amqp_envelope_t envelope;
        timeval patience{1, 0};
        const amqp_rpc_reply_t reply = amqp_consume_message(connection, &envelope, &patience, 0);
        if (!succeeded(reply)) {
            if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION &&
                reply.library_error == AMQP_STATUS_TIMEOUT) {
                continue;
            }
            return;
        }
        const std::string payload(static_cast<const char*>(envelope.message.body.bytes),
                                  envelope.message.body.len);
        const bool seen = !printed.insert(payload).second;
        if (reads_stamps || !envelope.redelivered || !seen) print_message(payload);
        const int status = reads_stamps ? AMQP_STATUS_OK
                                        : amqp_basic_ack(connection, channel, envelope.delivery_tag,
                                                         /*multiple=*/0);
        amqp_destroy_envelope(&envelope);
        if (status != AMQP_STATUS_OK) return;
    }
}

[[noreturn]] void tap_amqp(const std::string& server, const std::string& queue,
                           const std::vector<std::string>& bindings) {
    const std::size_t colon = server.rfind(':');
    const std::string host = server.substr(0, colon);
    const int port = colon == std::string::npos ? 5672 : std::atoi(server.c_str() + colon + 1);
    std::unordered_set<std::string> printed;
    for (;;) {
        if (const AmqpConnection connection = connect_amqp(host, port)) {
            if (subscribe_amqp(connection.get(), queue, bindings)) {
                print_ready_once();
                consume_amqp(connection.get(), printed);
            } else {
                complain("cannot subscribe to queue " + queue);
            }
        }
        std::this_thread::sleep_for(300ms);
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> words(argv + 1, argv + argc);
    if (!words.empty() && words[0] == "--stamps") {
        reads_stamps = true;
        words.erase(words.begin());
    }
    if (words.size() == 3 && words[0] == "kafka") tap_kafka(words[1], words[2]);
    if (words.size() >= 4 && words[0] == "amqp") {
        tap_amqp(words[1], words[2], {words.begin() + 3, words.end()});
    }
    complain("usage: upstream_tap [--stamps] kafka SERVERS TOPIC | amqp HOST:PORT QUEUE BINDING...");
    return 2;
}
