/// kafka_mock: librdkafka's mock cluster as a process of its own, for tests and the demo. The first line it
/// prints are the bootstrap servers; each command on standard input is answered with "ok" or "error: ...".
/// It ends when standard input closes. See `help_text` for the commands.
#include <librdkafka/rdkafka.h>
// The mock's header must follow.
#include <librdkafka/rdkafka_mock.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr const char* help_text =
    "down | up | rtt MS | error API_KEY CODE COUNT | topic NAME PARTITIONS | topic_error NAME CODE | "
    "leader TOPIC PARTITION BROKER | help | quit";

rd_kafka_resp_err_t run_command(rd_kafka_mock_cluster_t* cluster, const std::string& name,
                                std::istringstream& words, std::string& problem) {
    if (name == "down") return rd_kafka_mock_broker_set_down(cluster, -1);
    if (name == "up") return rd_kafka_mock_broker_set_up(cluster, -1);
    if (int ms = 0; name == "rtt" && words >> ms) return rd_kafka_mock_broker_set_rtt(cluster, -1, ms);
    if (int api = 0, code = 0, count = 0; name == "error" && words >> api >> code >> count && count >= 0) {
        const std::vector<rd_kafka_resp_err_t> errors(static_cast<std::size_t>(count),
                                                      static_cast<rd_kafka_resp_err_t>(code));
        rd_kafka_mock_push_request_errors_array(cluster, static_cast<std::int16_t>(api), errors.size(),
                                                errors.data());
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    std::string topic;
    if (int partitions = 0; name == "topic" && words >> topic >> partitions)
        return rd_kafka_mock_topic_create(cluster, topic.c_str(), partitions, 1);
    if (int partition = 0, broker = 0; name == "leader" && words >> topic >> partition >> broker)
        return rd_kafka_mock_partition_set_leader(cluster, topic.c_str(), partition, broker);
    if (int code = 0; name == "topic_error" && words >> topic >> code) {
        rd_kafka_mock_topic_set_error(cluster, topic.c_str(), static_cast<rd_kafka_resp_err_t>(code));
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    problem = std::string("unknown command; expected ") + help_text;
    return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

}  // namespace

int main(int argc, char** argv) {
    const int brokers = argc > 1 ? std::atoi(argv[1]) : 1;
    std::array<char, 512> text{};
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text.data(), text.size());
    rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text.data(), text.size());
    rd_kafka_mock_cluster_t* cluster =
        handle && brokers > 0 ? rd_kafka_mock_cluster_new(handle, brokers) : nullptr;
    if (!cluster) {
        std::cerr << "kafka_mock: cannot start a cluster of " << brokers << " brokers: " << text.data()
                  << '\n';
        return 1;
    }
    std::cout << rd_kafka_mock_cluster_bootstraps(cluster) << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string name, problem;
        words >> name;
        if (name.empty()) continue;
        if (name == "quit") break;
        if (name == "help") {
            std::cout << help_text << std::endl;
            continue;
        }
        const auto error = run_command(cluster, name, words, problem);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            std::cout << "ok" << std::endl;
        } else {
            std::cout << "error: " << (problem.empty() ? rd_kafka_err2str(error) : problem) << std::endl;
        }
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(handle);
    return 0;
}
