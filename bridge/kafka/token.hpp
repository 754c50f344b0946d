#pragma once
/// Tokens for SASL OAUTHBEARER: from a file, or printed by a command.
#include <librdkafka/rdkafka.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "bridge/kafka/command.hpp"

namespace sluice::bridge::kafka {

struct TokenSource {
    std::string file;                  ///< empty: the command
    std::vector<std::string> command;  ///< program and arguments; no shell
    std::chrono::milliseconds command_timeout{30'000};

    bool empty() const { return file.empty() && command.empty(); }
    /// For the operator: which file or command.
    std::string name() const;
};

struct Token {
    std::string value;  ///< secret
    WallTime expires{};
    std::string principal;  ///< whom it speaks for; librdkafka wants to know
};

/// The token in `text`, around which white space does not count. Of a JWT the claims "exp" and "sub" are
/// read; a token that is none is taken for good for an hour. The error never repeats any of it.
Result<Token, std::string> parse_token(std::string_view text, WallTime now);

/// Reads the file or runs the command, and waits for it. The error names file or command, never the token.
Result<Token, std::string> fetch_token(const TokenSource& source, const StopSign& stop);

/// Hands the token to librdkafka. Empty when it was taken.
std::string give_token(rd_kafka_t* handle, const Token& token);

/// Keeps the token of one producer fresh, on a thread of its own: when librdkafka asks, which is at four
/// fifths of a token's life, and when the file has another content.
class TokenKeeper {
  public:
    /// `handle` already has `token` and must outlive the keeper. `changed` is called on the keeper's thread
    /// when problem() may have changed.
    TokenKeeper(rd_kafka_t* handle, TokenSource source, const Token& token, std::function<void()> changed);
    /// Breaks a command off.
    ~TokenKeeper();
    TokenKeeper(const TokenKeeper&) = delete;
    TokenKeeper& operator=(const TokenKeeper&) = delete;

    /// librdkafka has asked. Any thread.
    void refresh();
    /// Why there is no fresh token; empty when there is. Any thread.
    std::string problem() const;

  private:
    void run();
    void renew();
    bool file_has_changed();

    rd_kafka_t* handle_;
    const TokenSource source_;
    const std::function<void()> changed_;
    const int wake_fd_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> asked_{false};
    std::string file_state_;  ///< of the file when it was last read; the keeper's thread
    WallTime renew_after_{};  ///< a request before this comes from before the present token
    mutable std::mutex mutex_;
    std::string problem_;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace sluice::bridge::kafka
