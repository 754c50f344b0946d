#pragma once
/// Attackers: many sockets on one thread that send whatever they are told to, as fast as the broker takes it,
/// and come again when they are thrown out. No answer makes them behave.
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace sluice::test {

class Attackers {
  public:
    struct Plan {
        int count = 1;
        /// What attacker number `who` sends next, after all it sent before; `turn` counts from 0 with each of
        /// its connections. Empty: nothing more.
        std::function<std::string(int who, int turn)> next;
        bool reads = false;
        bool comes_back = false;  ///< connects anew when the broker has ended its connection
    };

    Attackers(std::uint16_t port, Plan plan);
    /// They all go, without a word.
    ~Attackers();
    Attackers(const Attackers&) = delete;
    Attackers& operator=(const Attackers&) = delete;

    /// Everybody has sent all, or what is not sent yet is not taken at present.
    std::uint64_t sent_bytes() const { return sent_bytes_; }
    /// Connections that the broker has ended.
    std::uint64_t thrown_out() const { return thrown_out_; }
    /// Attackers that have sent all they wanted to.
    int done() const { return done_; }

  private:
    struct One {
        int socket = -1;
        int turn = 0;
        bool done = false;
        std::string out;
        std::size_t sent = 0;
    };
    void run();
    void come(One& one) const;
    void leave(One& one);
    /// Whether anything moved.
    bool send_some(int who, One& one);
    bool read_some(One& one);

    const std::uint16_t port_;
    const Plan plan_;
    std::vector<One> all_;
    std::atomic<bool> over_{false};
    std::atomic<std::uint64_t> sent_bytes_{0}, thrown_out_{0};
    std::atomic<int> done_{0};
    std::thread thread_;
};

}  // namespace sluice::test
