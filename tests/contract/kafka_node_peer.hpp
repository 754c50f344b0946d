#pragma once
/// KafkaNodePeer: a real Apache Kafka, one node, as tests/tools/kafka_node.py runs it.
#include "tests/contract/peer.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {

class KafkaNodePeer final : public Peer {
  public:
    /// What the node said when it was ready.
    struct Doors {
        int plaintext = 0, sasl_ssl = 0, ssl = 0;
        std::string certificates;  ///< the folder: ca.crt, device-0001.crt, device-0001.key, wrong-ca.crt
        FrailWay frail;
    };
    KafkaNodePeer(std::unique_ptr<sluice::test::ChildProcess> process, Doors doors, std::string folder);
    ~KafkaNodePeer() override;

    std::string address() const override { return "127.0.0.1:" + std::to_string(doors_.plaintext); }
    const Doors& doors() const { return doors_; }
    void configure(SettingsUnderTest& settings) override;
    void configure_place(SettingsUnderTest& settings, const std::string& place) override;
    void configure_refusal(SettingsUnderTest& settings, const std::string& place) override;
    std::vector<Received> receive(const std::string& place, std::size_t count) override;
    void down() override { ask("kill9"); }
    void up() override { ask("start"); }
    void freeze() override { ask("freeze"); }
    void thaw() override { ask("thaw"); }
    FrailWay frail_way() const override { return doors_.frail; }
    /// Throws when the answer is not "ok".
    std::string ask(const std::string& command) override;

  private:
    std::unique_ptr<sluice::test::ChildProcess> process_;
    const Doors doors_;
    const std::string folder_;
};

}  // namespace sluice::bridge::test
