#include <librdkafka/rdkafka.h>

#include <array>

#include "tests/contract/peer.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

rd_kafka_t* make_consumer(const std::string& servers) {
    std::array<char, 512> text{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", servers.c_str(), text.data(), text.size());
    rd_kafka_conf_set(conf, "group.id", "test", text.data(), text.size());
    rd_kafka_conf_set(conf, "log_level", "0", text.data(), text.size());
    rd_kafka_conf_set(conf, "fetch.wait.max.ms", "20", text.data(), text.size());
    rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text.data(), text.size());
    rd_kafka_poll_set_consumer(consumer);
    return consumer;
}

/// The mock makes a topic that is missing by itself, with a number of partitions of its own.
int partitions_of(rd_kafka_t* consumer, const std::string& place) {
    rd_kafka_topic_t* topic = rd_kafka_topic_new(consumer, place.c_str(), nullptr);
    const rd_kafka_metadata_t* metadata = nullptr;
    rd_kafka_metadata(consumer, 0, topic, &metadata, 20'000);
    const int count = metadata && metadata->topic_cnt > 0 ? metadata->topics[0].partition_cnt : 0;
    if (metadata) rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

Received to_received(const rd_kafka_message_t& message) {
    Received received;
    received.has_payload = message.payload != nullptr;
    if (message.payload) received.payload.assign(static_cast<const char*>(message.payload), message.len);
    if (message.key) received.key.assign(static_cast<const char*>(message.key), message.key_len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; ++i)
            received.headers[name] = std::string(static_cast<const char*>(value), size);
    }
    return received;
}

class KafkaPeer final : public Peer {
  public:
    KafkaPeer(std::unique_ptr<sluice::test::ChildProcess> process, std::string servers)
        : process_(std::move(process)), servers_(std::move(servers)) {}

    std::string address() const override { return servers_; }
    void configure(SettingsUnderTest& settings) override {
        settings.bridge("servers", std::vector<std::string>{servers_});
        settings.bridge("confirm_timeout", std::int64_t{3000});
        settings.bridge("connect_timeout", std::int64_t{5000});
        settings.bridge("message_bytes_max", std::int64_t{2000});
    }
    void configure_place(SettingsUnderTest& settings, const std::string& place) override {
        ask("topic " + place + " " + std::to_string(partitions));
        settings.route("topic", place);
    }
    void configure_refusal(SettingsUnderTest& settings, const std::string& place) override {
        configure_place(settings, place);  // and message_bytes_max
    }

    std::vector<Received> receive(const std::string& place, std::size_t count) override {
        rd_kafka_t* consumer = make_consumer(servers_);
        const int count_of_partitions = partitions_of(consumer, place);
        rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(count_of_partitions);
        for (int i = 0; i < count_of_partitions; ++i)
            rd_kafka_topic_partition_list_add(list, place.c_str(), i)->offset = RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_assign(consumer, list);
        rd_kafka_topic_partition_list_destroy(list);
        std::vector<Received> all;
        auto deadline = Steady::now() + std::chrono::seconds(20);
        while (Steady::now() < deadline) {
            rd_kafka_message_t* message = rd_kafka_consumer_poll(consumer, 50);
            if (!message) {
                if (all.size() >= count) break;
                continue;
            }
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) all.push_back(to_received(*message));
            rd_kafka_message_destroy(message);
        }
        rd_kafka_consumer_close(consumer);
        rd_kafka_destroy(consumer);
        return all;
    }

    void down() override { ask("down"); }
    void up() override { ask("up"); }
    void freeze() override { process_->send_signal(SIGSTOP); }
    void thaw() override { process_->send_signal(SIGCONT); }
    std::string ask(const std::string& command) override { return process_->ask(command); }

  private:
    static constexpr int partitions = 2;
    std::unique_ptr<sluice::test::ChildProcess> process_;
    std::string servers_;
};

}  // namespace

std::unique_ptr<Peer> start_kafka_peer(std::string& why) {
    auto process = std::make_unique<sluice::test::ChildProcess>(
        std::vector<std::string>{SLUICE_BINARY_DIR "/bin/kafka_mock"});
    const auto servers = process->read_line(std::chrono::seconds(20));
    if (!servers) {
        why = "kafka_mock did not start";
        return nullptr;
    }
    return std::make_unique<KafkaPeer>(std::move(process), *servers);
}

}  // namespace sluice::bridge::test
