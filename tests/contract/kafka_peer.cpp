#include "tests/contract/kafka_records.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {
namespace {

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
        return received_of(read_topic(servers_, place, count));
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
