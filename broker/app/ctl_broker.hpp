#pragma once
/// How the commands of `sluicectl` talk to a running broker, and read what it answers.
#include <cstdint>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.hpp"

namespace sluice::app {

constexpr int exit_not_done = 1;  ///< also: the broker has alarms
constexpr int exit_usage_ctl = 2;
constexpr int exit_no_broker = 3;

struct Command {
    std::string url = "http://127.0.0.1:9883";
    bool as_json = false;
    std::ostream& out;
};

/// What ends a command early.
struct Failure {
    std::string line;  ///< for the operator; printable
    int exit_code = exit_no_broker;
};
template <class T>
using Answered = Result<T, Failure>;

/// GET of what a broker always has: anything but 200 means that it is none.
Answered<std::string> fetch(const Command& command, const std::string& path);
Answered<nlohmann::json> fetch_json(const Command& command, const std::string& path);

/// GET of what the broker may refuse: then the failure is its reason, with exit_not_done.
Answered<nlohmann::json> ask_json(const Command& command, const std::string& path);
/// POST: the broker changes something. `body` may be null: none.
Answered<nlohmann::json> order_json(const Command& command, const std::string& path,
                                    const nlohmann::json& body = nullptr);

// Values of another broker version may be missing or of another type: shown as nothing rather than refused.
std::string text_of(const nlohmann::json& object, const char* key);
/// What is in `text_of`, printable.
std::string line_of(const nlohmann::json& object, const char* key);
double number_of(const nlohmann::json& object, const char* key);
/// Negative when it is null or missing.
double forecast_of(const nlohmann::json& object, const char* key);
bool truth_of(const nlohmann::json& object, const char* key);
nlohmann::json list_of(const nlohmann::json& object, const char* key);
std::string count_of(const nlohmann::json& object, const char* key);

void print(const Command& command, const nlohmann::json& value);

}  // namespace sluice::app
