#include "tests/contract/kafka_node_peer.hpp"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "tests/contract/kafka_records.hpp"

namespace sluice::bridge::test {
namespace {

/// The summary of ctest looks for these words.
constexpr const char* not_tried = "the real Kafka was not tried: ";

/// "ready NAME=VALUE ..." as a map; empty when it is another line.
}  // namespace

KafkaNodePeer::KafkaNodePeer(std::unique_ptr<sluice::test::ChildProcess> process, Doors doors,
                             std::string folder)
    : process_(std::move(process)), doors_(std::move(doors)), folder_(std::move(folder)) {}

KafkaNodePeer::~KafkaNodePeer() {
    process_.reset();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
}

void KafkaNodePeer::configure(SettingsUnderTest& settings) {
    settings.bridge("servers", std::vector<std::string>{address()});
    settings.bridge("confirm_timeout", std::int64_t{3000});
    settings.bridge("connect_timeout", std::int64_t{5000});
}

void KafkaNodePeer::configure_place(SettingsUnderTest& settings, const std::string& place) {
    ask("topic " + place + " 2");
    settings.route("topic", place);
}

void KafkaNodePeer::configure_refusal(SettingsUnderTest& settings, const std::string& place) {
    ask("topic " + place + " 2 max.message.bytes=2000");
    settings.route("topic", place);
}

std::vector<Received> KafkaNodePeer::receive(const std::string& place, std::size_t count) {
    return received_of(read_topic(address(), place, count));
}

std::string KafkaNodePeer::ask(const std::string& command) {
    const std::string answer = process_->ask(command, std::chrono::seconds(150));
    if (!answer.starts_with("ok")) throw std::runtime_error("kafka_node: " + command + ": " + answer);
    return answer;
}

std::unique_ptr<Peer> start_kafka_node_peer(std::string& why) {
    const std::string jars = SLUICE_SOURCE_DIR "/build/kafka/jars";
    if (!std::filesystem::exists(jars)) {
        why = std::string(not_tried) + "its jars are not in build/kafka, where ./dev test puts them";
        return nullptr;
    }
    std::string folder = (std::filesystem::temp_directory_path() / "sluice-kafka-XXXXXX").string();
    if (!::mkdtemp(folder.data())) throw std::runtime_error("mkdtemp");
    auto process = std::make_unique<sluice::test::ChildProcess>(
        std::vector<std::string>{"python3", SLUICE_SOURCE_DIR "/tests/tools/kafka_node.py", folder, "--jars",
                                 jars, "--admin", SLUICE_BINARY_DIR "/bin/kafka_admin", "--namespace"});
    const std::string line = process->read_line(std::chrono::seconds(150)).value_or("no answer");
    auto ready = ready_line(line);
    if (ready.empty()) {
        why = "the Kafka node did not start: " + line;
        throw std::runtime_error(why);  // where its jars are it has to
    }
    KafkaNodePeer::Doors doors;
    doors.plaintext = std::stoi(ready["plaintext"]);
    doors.sasl_ssl = std::stoi(ready["sasl_ssl"]);
    doors.ssl = std::stoi(ready["ssl"]);
    doors.certificates = folder + "/certs";
    doors.frail = {ready["namespace"], ready["outside"]};
    return std::make_unique<KafkaNodePeer>(std::move(process), doors, folder);
}

}  // namespace sluice::bridge::test
