#pragma once
/// Bystanders: many well-behaved clients on one thread, each of them publishing to itself and pinging, over
/// and over. What befalls others must not reach them; any answer that is wrong, missing or late is told.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "tests/vectors/packet.hpp"

namespace sluice::test {

class Bystanders {
  public:
    using Clock = std::chrono::steady_clock;
    /// Each one begins a round every `pause`; no answer may take longer than `patience`.
    static constexpr std::chrono::milliseconds pause{1000}, patience{10'000};

    /// Connects `count` clients, half of them with MQTT 5, half with 3.1.1. Throws Mismatch.
    Bystanders(std::uint16_t port, int count);
    ~Bystanders();
    Bystanders(const Bystanders&) = delete;
    Bystanders& operator=(const Bystanders&) = delete;

    /// Waits until each has subscribed and ended its first round. Throws Mismatch.
    void wait_until_all_are_there();
    /// Waits until each has begun and ended one more round, and stops. Throws Mismatch when any of them
    /// noticed anything since the beginning.
    void finish();
    /// Of a whole round, in all.
    std::chrono::milliseconds slowest() const { return slowest_; }
    std::uint64_t rounds() const { return rounds_; }

  private:
    struct Client {
        int fd = -1;
        int level = 5;
        int number = 0;
        int wanted = 0;  ///< answers still missing in this round
        std::uint16_t packet_id = 0;
        std::uint64_t rounds = 0;
        Clock::time_point begun{}, next{};
        ByteBuffer received;
    };

    void connect(Client& client, std::uint16_t port);
    void run();
    void begin_round(Client& client);
    void read(Client& client);
    void take(Client& client, const Json& packet);
    void wait_for_rounds(std::uint64_t more);
    static void send(const Client& client, const Json& packet);
    [[noreturn]] static void notice(const Client& client, const std::string& what);

    std::vector<Client> clients_;
    std::thread thread_;
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> all_have_{0};  ///< rounds that every client has ended
    std::atomic<std::uint64_t> rounds_{0};
    std::atomic<bool> failed_{false};
    std::string noticed_;  ///< written before failed_
    std::chrono::milliseconds slowest_{0};
};

}  // namespace sluice::test
