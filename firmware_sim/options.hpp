#pragma once
/// The command line of firmware_sim.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace sluice::firmware {

struct Options {
    std::string host = "localhost";
    int port = 0;  ///< 0 on the command line: 1883, or 8883 with TLS
    bool tls = false;
    std::string ca_file;
    std::string cert_dir;
    std::string cert_file;
    std::string key_file;
    bool verify_host = true;
    std::string user;
    std::string password;

    int devices = 1;
    double rate = 1;  ///< messages per second per device
    int qos = 1;
    double seconds = 0;       ///< 0: no end by time
    std::uint64_t count = 0;  ///< messages per device; 0: no end by count
    std::string topic_prefix = "plant";

    std::string mqtt = "5";
    int session_expiry_s = 3600;
    int keep_alive_s = 30;
    int inflight = 20;
    int outbox = 1000;  ///< messages per device that wait for their acknowledgement
    int backoff_max_s = 10;
    double drain_s = 30;

    std::string replay_file;
    double speed = 1;
    bool loop = false;

    std::string journal_file;
    double progress_s = 0;  ///< 0: no progress lines
    std::uint64_t seed = 0;
    bool quiet = false;

    bool mqtt_5() const { return mqtt == "5"; }
    std::string uri() const;
    /// The client certificate of one device: its own from the folder, else the common one, else empty.
    std::string certificate_of(const std::string& device) const;
    std::string key_of(const std::string& device) const;
};

/// The options, or the exit status of a run that ends here (help, or a mistake: its line is printed).
std::variant<Options, int> parse_options(int argc, const char* const* argv);

/// What is wrong with the options as a whole (files that cannot be read, options that exclude each other):
/// one line; nothing when all is well. Fills in what follows from other options.
std::optional<std::string> complete_options(Options& options);

}  // namespace sluice::firmware
