/// A Kafka of another name, to which the bridge delivers exactly once.
#include <gtest/gtest.h>

#include "tests/contract/peer.hpp"

namespace sluice::bridge::test {
namespace {

class ExactlyOncePeer final : public Peer {
  public:
    explicit ExactlyOncePeer(Peer& kafka) : kafka_(kafka) {}

    std::string address() const override { return kafka_.address(); }
    void configure(SettingsUnderTest& settings) override {
        kafka_.configure(settings);
        settings.bridge("delivery", std::int64_t{1});
        settings.bridge("position_topic", std::string("sluice-positions"));
        settings.bridge("transaction_timeout", std::int64_t{10'000});
        // Positions outlive a connector: each test has its own.
        settings.spec.bridge_name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    }
    void configure_place(SettingsUnderTest& settings, const std::string& place) override {
        kafka_.configure_place(settings, place);
    }
    void configure_refusal(SettingsUnderTest& settings, const std::string& place) override {
        kafka_.configure_refusal(settings, place);
    }
    std::vector<Received> receive(const std::string& place, std::size_t count) override {
        return kafka_.receive(place, count);
    }
    void settle() override { kafka_.settle(); }
    void down() override { kafka_.down(); }
    void up() override { kafka_.up(); }
    void freeze() override { kafka_.freeze(); }
    void thaw() override { kafka_.thaw(); }
    std::string ask(const std::string& command) override { return kafka_.ask(command); }

  private:
    Peer& kafka_;
};

std::unique_ptr<Peer> over(const std::string& name, std::string& why) {
    Peer* kafka = peer_of(name, why);
    return kafka ? std::make_unique<ExactlyOncePeer>(*kafka) : nullptr;
}

}  // namespace

std::unique_ptr<Peer> start_kafka_once_peer(std::string& why) {
    return over("kafka", why);
}
std::unique_ptr<Peer> start_kafka_real_once_peer(std::string& why) {
    return over("kafka_real", why);
}

}  // namespace sluice::bridge::test
