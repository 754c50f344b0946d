#include "tests/contract/amqp1_peer.hpp"

#include <functional>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace sluice::bridge::test {
namespace {

using Steady = std::chrono::steady_clock;

std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

Received to_received(const nlohmann::json& from) {
    Received received;
    received.payload = from_hex(from.at("payload").get<std::string>());
    received.has_payload = from.at("has_payload").get<bool>();
    received.headers = from.at("headers").get<std::map<std::string, std::string>>();
    if (const auto key = received.headers.find("#x-opt-partition-key"); key != received.headers.end())
        received.key = key->second;
    return received;
}

}  // namespace

Amqp1Peer::Amqp1Peer(std::vector<std::string> options, std::string host) : host_(std::move(host)) {
    options.insert(options.begin(), {SLUICE_BINARY_DIR "/bin/amqp1_mock", "--host", host_});
    process_ = std::make_unique<sluice::test::ChildProcess>(options);
    port_ = process_->read_line(std::chrono::seconds(20)).value_or("");
    if (port_.empty()) throw std::runtime_error("amqp1_mock did not start");
}

void Amqp1Peer::configure(SettingsUnderTest& settings) {
    settings.bridge("servers", std::vector<std::string>{address()});
    settings.bridge("heartbeat", std::int64_t{1000});
    settings.bridge("connect_timeout", std::int64_t{5000});
    settings.bridge("confirm_timeout", std::int64_t{1000});
}

void Amqp1Peer::configure_place(SettingsUnderTest& settings, const std::string& place) {
    settings.route("address", place);
}

void Amqp1Peer::configure_refusal(SettingsUnderTest& settings, const std::string& place) {
    configure_place(settings, place);
    ask("reject_subject " + place + " plant/refused");
}

std::vector<Received> Amqp1Peer::receive(const std::string& place, std::size_t count) {
    const auto deadline = Steady::now() + std::chrono::seconds(20);
    for (;;) {
        const auto arrived = nlohmann::json::parse(ask("messages " + place));
        if (arrived.size() < count && Steady::now() < deadline) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            continue;
        }
        std::vector<Received> all;
        for (const auto& one : arrived) all.push_back(to_received(one));
        return all;
    }
}

std::string Amqp1Peer::digest(const std::string& payload) {
    return std::to_string(payload.size()) + " bytes " +
           std::to_string(std::hash<std::string_view>()(payload));
}

std::unique_ptr<Peer> start_amqp1_peer(std::string& why) {
    try {
        return std::make_unique<Amqp1Peer>();
    } catch (const std::runtime_error& error) {
        why = error.what();
        return nullptr;
    }
}

}  // namespace sluice::bridge::test
