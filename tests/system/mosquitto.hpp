#pragma once
/// Mosquitto's command line clients as peers.
#include <fmt/format.h>

#include <csignal>
#include <memory>

#include "tests/support/child_process.hpp"
#include "tests/support/run_command.hpp"

namespace sluice::test {

using Words = std::vector<std::string>;

inline Words operator+(Words left, const Words& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

/// mosquitto_sub, subscribed when the constructor returns; its lines are "TOPIC PAYLOAD".
class MosquittoSub {
  public:
    explicit MosquittoSub(const Words& options)
        // It writes its debug lines ("-d": we wait for the SUBACK) and messages through a buffer otherwise.
        : process_(Words{"stdbuf", "-oL", "mosquitto_sub", "-d", "-v"} + options) {
        while (const auto line = process_.read_line(std::chrono::seconds(20))) {
            subscribed_ = line->find("received SUBACK") != line->npos;
            if (subscribed_) break;
        }
    }
    ~MosquittoSub() { process_.send_signal(SIGTERM); }

    bool subscribed() const { return subscribed_; }
    void signal(int number) { process_.send_signal(number); }
    std::string next(std::chrono::milliseconds longest = std::chrono::seconds(20)) {
        while (auto line = process_.read_line(longest)) {
            if (!is_debug(*line)) return *line;
        }
        return "nothing";
    }
    /// Whether it has lost its connection meanwhile: it would have told about the next CONNECT.
    bool has_reconnected() {
        while (auto line = process_.read_line(std::chrono::milliseconds(0)))
            if (line->find("sending CONNECT") != line->npos) return true;
        return reconnected_;
    }

  private:
    bool is_debug(const std::string& line) {
        reconnected_ |= line.find("sending CONNECT") != line.npos;
        return line.starts_with("Client ") || line.starts_with("Subscribed ");
    }
    ChildProcess process_;
    bool subscribed_ = false;
    bool reconnected_ = false;
};

inline CommandResult mosquitto_pub(const Words& options) {
    return run_command(Words{"mosquitto_pub"} + options, std::chrono::seconds(20));
}

}  // namespace sluice::test
