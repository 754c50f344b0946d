#pragma once
/// amqp1_mock as a Peer.
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/contract/peer.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {

class Amqp1Peer final : public Peer {
  public:
    /// `options` of amqp1_mock. Throws when it does not start.
    explicit Amqp1Peer(std::vector<std::string> options = {}, std::string host = "127.0.0.1");

    std::string address() const override { return host_ + ":" + port_; }
    void configure(SettingsUnderTest& settings) override;
    void configure_place(SettingsUnderTest& settings, const std::string& place) override;
    void configure_refusal(SettingsUnderTest& settings, const std::string& place) override;
    std::vector<Received> receive(const std::string& place, std::size_t count) override;
    void down() override { ask("down"); }
    void up() override { ask("up"); }
    void freeze() override { process_->send_signal(SIGSTOP); }
    void thaw() override { process_->send_signal(SIGCONT); }
    std::string ask(const std::string& command) override { return process_->ask(command); }
    /// What receive() has as the payload of a message over 64 KiB.
    static std::string digest(const std::string& payload);
    /// Puts a message there to be fetched; see encode() in amqp1_mock_message.hpp.
    void put(const std::string& place, const nlohmann::json& message) {
        ask("put " + place + " " + message.dump());
    }
    /// What became of what was fetched: [{"outcome", "text"}...].
    nlohmann::json outcomes(const std::string& place) {
        return nlohmann::json::parse(ask("outcomes " + place));
    }

  private:
    std::string host_, port_;
    std::unique_ptr<sluice::test::ChildProcess> process_;
};

}  // namespace sluice::bridge::test
