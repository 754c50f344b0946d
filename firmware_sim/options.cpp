#include "firmware_sim/options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "firmware_sim/telemetry.hpp"

namespace sluice::firmware {
namespace {

std::optional<std::string> unreadable(const char* what, const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
        return fmt::format("cannot read {} '{}': it is a directory", what, path);
    }
    const std::ifstream file(path);
    if (!file) return fmt::format("cannot read {} '{}': {}", what, path, std::strerror(errno));
    return std::nullopt;
}

/// `file:PATH` and `env:NAME` keep a secret out of the process list.
std::optional<std::string> resolve_secret(std::string& secret) {
    if (secret.starts_with("env:")) {
        const char* value = std::getenv(secret.c_str() + 4);
        if (value == nullptr) return fmt::format("--password: no variable '{}'", secret.substr(4));
        secret = value;
    } else if (secret.starts_with("file:")) {
        const std::string path = secret.substr(5);
        if (auto error = unreadable("password file", path)) return error;
        std::ifstream file(path);
        secret.clear();
        std::getline(file, secret);
    }
    return std::nullopt;
}

std::optional<std::string> check_tls(const Options& options) {
    const bool tls_files = !options.ca_file.empty() || !options.cert_dir.empty() ||
                           !options.cert_file.empty() || !options.key_file.empty();
    if (!options.tls) {
        if (tls_files) return "--ca, --cert, --key and --cert-dir need --tls";
        return std::nullopt;
    }
    if (options.ca_file.empty()) return "--tls needs --ca FILE: whom to trust";
    if (auto error = unreadable("CA file", options.ca_file)) return error;
    if (options.cert_file.empty() != options.key_file.empty()) return "--cert and --key go together";
    if (!options.cert_dir.empty() && !options.cert_file.empty())
        return "--cert-dir excludes --cert and --key";
    for (int number = 1; number <= options.devices; ++number) {
        const std::string device = device_name(number);
        const std::string certificate = options.certificate_of(device);
        if (certificate.empty()) break;
        if (auto error = unreadable("certificate", certificate)) return error;
        if (auto error = unreadable("key", options.key_of(device))) return error;
        if (options.cert_dir.empty()) break;
    }
    return std::nullopt;
}

void add_connection_options(CLI::App& app, Options& options) {
    app.add_option("--host", options.host, "The broker")->capture_default_str();
    app.add_option("--port", options.port, "Its port [1883, with --tls 8883]")->check(CLI::Range(1, 65535));
    app.add_flag("--tls", options.tls, "Connect with TLS");
    app.add_option("--ca", options.ca_file, "Certificates of the authorities to trust (PEM)");
    app.add_option("--cert-dir", options.cert_dir,
                   "Folder with a certificate per device: device-0001.crt, device-0001.key, ...");
    app.add_option("--cert", options.cert_file, "One certificate for all devices (PEM)");
    app.add_option("--key", options.key_file, "Its private key (PEM)");
    app.add_flag("!--no-verify-host", options.verify_host, "Take a server certificate of another name");
    app.add_option("--user", options.user, "MQTT user name");
    app.add_option("--password", options.password, "MQTT password; file:PATH and env:NAME are read");
    app.add_option("--mqtt", options.mqtt, "Protocol version")
        ->check(CLI::IsMember({"5", "3.1.1"}))
        ->capture_default_str();
    app.add_option("--session-expiry", options.session_expiry_s,
                   "Seconds the broker keeps a session (MQTT 5)")
        ->check(CLI::Range(1, 1'000'000'000))
        ->capture_default_str();
    app.add_option("--keep-alive", options.keep_alive_s, "Seconds")
        ->check(CLI::Range(1, 65535))
        ->capture_default_str();
    app.add_option("--backoff-max", options.backoff_max_s, "Longest pause between two connection attempts, s")
        ->check(CLI::Range(1, 3600))
        ->capture_default_str();
}

void add_load_options(CLI::App& app, Options& options) {
    app.add_option("--devices", options.devices, "How many devices")
        ->check(CLI::Range(1, 9999))
        ->capture_default_str();
    app.add_option("--rate", options.rate, "Messages per second and device")
        ->check(CLI::Range(0.001, 10000.0))
        ->capture_default_str();
    app.add_option("--qos", options.qos, "Quality of service")
        ->check(CLI::Range(0, 2))
        ->capture_default_str();
    app.add_option("--seconds", options.seconds, "End after this time [never]")->check(CLI::Range(0.1, 1e9));
    app.add_option("--count", options.count, "End after so many messages per device [never]")
        ->check(CLI::PositiveNumber);
    app.add_option("--topic-prefix", options.topic_prefix, "First level(s) of all topics")
        ->capture_default_str();
    app.add_option("--inflight", options.inflight, "Unacknowledged messages on the way per device")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    app.add_option("--outbox", options.outbox, "Unacknowledged messages kept per device")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    app.add_option("--drain", options.drain_s, "At the end wait so many seconds for acknowledgements")
        ->check(CLI::Range(0.0, 1e6))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "Makes the simulated readings repeatable");
}

void add_replay_options(CLI::App& app, Options& options) {
    app.add_option("--replay", options.replay_file,
                   "Publish the rows of this CSV file instead of simulated readings");
    app.add_option("--speed", options.speed, "Replay at so many times real time")
        ->check(CLI::Range(1e-6, 1e9))
        ->capture_default_str();
    app.add_flag("--loop", options.loop, "Begin the file again at its end");
}

void add_output_options(CLI::App& app, Options& options) {
    app.add_option("--journal", options.journal_file,
                   "Write a line `device seq` for each acknowledged message");
    app.add_option("--progress", options.progress_s, "Print the counts every so many seconds")
        ->check(CLI::Range(0.1, 1e6));
    app.add_flag("--quiet", options.quiet, "No lines about connections");
}

}  // namespace

std::string Options::uri() const {
    const std::string name = host.find(':') == std::string::npos ? host : '[' + host + ']';
    return fmt::format("{}://{}:{}", tls ? "ssl" : "tcp", name, port);
}

std::string Options::certificate_of(const std::string& device) const {
    return cert_dir.empty() ? cert_file : (std::filesystem::path(cert_dir) / (device + ".crt")).string();
}

std::string Options::key_of(const std::string& device) const {
    return cert_dir.empty() ? key_file : (std::filesystem::path(cert_dir) / (device + ".key")).string();
}

std::variant<Options, int> parse_options(int argc, const char* const* argv) {
    Options options;
    CLI::App app("A fleet of simulated devices: telemetry over MQTT, counted to the last acknowledgement.",
                 "firmware_sim");
    add_connection_options(app, options);
    add_load_options(app, options);
    add_replay_options(app, options);
    add_output_options(app, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& error) {
        fmt::print(stderr, "firmware_sim: {} (--help lists the options)\n", error.what());
        return 2;
    }
    if (auto mistake = complete_options(options)) {
        fmt::print(stderr, "firmware_sim: {}\n", *mistake);
        return 2;
    }
    return options;
}

std::optional<std::string> complete_options(Options& options) {
    if (options.port == 0) options.port = options.tls ? 8883 : 1883;
    if (auto error = check_tls(options)) return error;
    if (!options.password.empty() && options.user.empty() && !options.mqtt_5()) {
        return "--password needs --user with MQTT 3.1.1";
    }
    if (auto error = resolve_secret(options.password)) return error;
    if (options.topic_prefix.find_first_of("+#") != std::string::npos) {
        return "--topic-prefix must not contain + or #";
    }
    while (options.topic_prefix.ends_with('/')) options.topic_prefix.pop_back();
    if (options.topic_prefix.empty()) return "--topic-prefix must not be empty";
    if (options.replay_file.empty()) {
        if (options.loop) return "--loop needs --replay FILE";
        if (options.speed != 1) return "--speed needs --replay FILE";
    } else if (auto error = unreadable("replay file", options.replay_file)) {
        return error;
    }
    return std::nullopt;
}

}  // namespace sluice::firmware
