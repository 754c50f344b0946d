#include "firmware_sim/device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::firmware {
namespace {

constexpr std::size_t answers_max = 100;
/// A broker that refuses a message (a quota, a full queue) gets a moment before it is asked again.
constexpr Millis refused_pause{1000};
/// Devices begin to connect one after the other: a handshake costs a small broker milliseconds.
constexpr Millis connect_spacing{5};
constexpr Millis interval_min{1};
constexpr Millis interval_max{24 * 3600 * 1000};

mqtt::create_options create_options(const Options& options) {
    return mqtt::create_options(options.mqtt_5() ? MQTTVERSION_5 : MQTTVERSION_3_1_1);
}

Millis first_interval(const Options& options) {
    return std::max(interval_min, Millis(static_cast<Millis::rep>(1000.0 / options.rate)));
}

std::uint64_t seed_of(const Options& options, int number) {
    // Neighbouring seeds start the generator in similar states; a large odd step keeps devices apart.
    return options.seed + 0x9E3779B97F4A7C15ULL * static_cast<std::uint64_t>(number);
}

}  // namespace

Device::Device(const Options& options, int number, MonoTime start, Tally& tally)
    : options_(options),
      tally_(tally),
      name_(device_name(number)),
      room_(seed_of(options, number)),
      clean_start_(options.qos == 2),
      next_connect_(start + connect_spacing * (number - 1)),
      backoff_(Millis(options.backoff_max_s * 1000), seed_of(options, number) + 1),
      outbox_(static_cast<std::size_t>(options.outbox), static_cast<std::size_t>(options.inflight)),
      interval_(first_interval(options)) {
    // Spread over the interval: real devices do not measure in step.
    next_reading_ = start + interval_ * (number - 1) / options.devices;
}

std::string Device::topic(std::string_view rest) const {
    return fmt::format("{}/{}/{}", options_.topic_prefix, name_, rest);
}

void Device::say(std::string_view text) const {
    if (!options_.quiet) fmt::print(stderr, "{}: {}\n", name_, text);
}

mqtt::ssl_options Device::ssl_options() const {
    mqtt::ssl_options ssl;
    ssl.set_trust_store(options_.ca_file);
    const std::string certificate = options_.certificate_of(name_);
    if (!certificate.empty()) {
        ssl.set_key_store(certificate);
        ssl.set_private_key(options_.key_of(name_));
    }
    ssl.set_enable_server_cert_auth(true);
    ssl.set_verify(options_.verify_host);
    return ssl;
}

mqtt::connect_options Device::connect_options(bool clean_start) const {
    mqtt::connect_options connect;
    if (options_.mqtt_5()) {
        connect.set_mqtt_version(MQTTVERSION_5);
        connect.set_clean_start(clean_start);
        connect.set_properties({{mqtt::property::SESSION_EXPIRY_INTERVAL, options_.session_expiry_s}});
    } else {
        connect.set_mqtt_version(MQTTVERSION_3_1_1);
        connect.set_clean_session(clean_start);
    }
    connect.set_keep_alive_interval(options_.keep_alive_s);
    connect.set_connect_timeout(10);
    // Room for the state and for answers beside the telemetry.
    connect.set_max_inflight(options_.inflight + 10);
    connect.set_automatic_reconnect(false);
    if (!options_.user.empty()) connect.set_user_name(options_.user);
    if (!options_.password.empty()) connect.set_password(options_.password);
    if (options_.tls) connect.set_ssl(ssl_options());
    static constexpr std::string_view offline = "offline";
    connect.set_will(mqtt::will_options(topic("state"), offline.data(), offline.size(), 1, true));
    return connect;
}

void Device::connect(bool clean_start) {
    try {
        auto client = std::make_unique<mqtt::async_client>(options_.uri(), name_, create_options(options_));
        client->set_callback(*this);
        client_ = std::move(client);
        client_->connect(connect_options(clean_start), nullptr, connect_listener_);
    } catch (const mqtt::exception& error) {
        say(fmt::format("cannot connect: {}", error.to_string()));
        const std::lock_guard lock(mutex_);
        phase_ = Phase::disconnected;
        next_connect_ = mono_now() + backoff_.next();
    }
}

void Device::ConnectListener::on_success(const mqtt::token&) {
    const std::lock_guard lock(device_.mutex_);
    // Paho 1.2 reports each connection twice.
    if (device_.phase_ != Phase::connecting) return;
    device_.phase_ = Phase::connected;
    device_.greeting_due_ = true;
    device_.backoff_.reset();
    device_.clean_start_ = false;
    device_.tally_.on_connected(std::exchange(device_.connected_before_, true));
}

void Device::ConnectListener::on_failure(const mqtt::token& token) {
    const int reason = token.get_reason_code();
    const int code = token.get_return_code();
    const std::string why =
        reason > 0 ? mqtt::exception::reason_code_str(reason) : mqtt::exception::error_str(code);
    Millis pause{};
    {
        const std::lock_guard lock(device_.mutex_);
        device_.phase_ = Phase::disconnected;
        pause = device_.backoff_.next();
        device_.next_connect_ = mono_now() + pause;
    }
    device_.say(fmt::format("no connection (code {}{}{}), next attempt in {} ms", reason > 0 ? reason : code,
                            why.empty() ? "" : ": ", why, pause.count()));
}

void Device::PublishListener::on_success(const mqtt::token& token) {
    const auto attempt =
        static_cast<Outbox::Attempt>(reinterpret_cast<std::uintptr_t>(token.get_user_context()));
    std::optional<std::uint64_t> seq;
    {
        const std::lock_guard lock(device_.mutex_);
        seq = device_.outbox_.on_acknowledged(attempt);
    }
    if (seq) device_.tally_.on_acknowledged(device_.name_, *seq);
}

void Device::PublishListener::on_failure(const mqtt::token& token) {
    const auto attempt =
        static_cast<Outbox::Attempt>(reinterpret_cast<std::uintptr_t>(token.get_user_context()));
    // A code from 128 is the broker's refusal; everything else is a connection that broke or a session that
    // the broker has forgotten.
    const bool refused = token.get_reason_code() >= 0x80;
    const std::lock_guard lock(device_.mutex_);
    device_.outbox_.on_failed(attempt, refused ? mono_now() + refused_pause : MonoTime{});
}

void Device::note_lost(MonoTime now) {
    if (phase_ != Phase::connected) return;
    phase_ = Phase::disconnected;
    tally_.on_disconnected();
    if (options_.qos == 2 && outbox_.inflight() > 0) clean_start_ = true;
    outbox_.release_all();
    next_connect_ = now + backoff_.next();
}

void Device::connection_lost(const std::string& cause) {
    say(fmt::format("connection lost{}{}", cause.empty() ? "" : ": ", cause));
    const std::lock_guard lock(mutex_);
    note_lost(mono_now());
}

void Device::step(Now now) {
    // Not every way of losing a connection is reported (a DISCONNECT from the server is one), so we look.
    bool gone = false;
    if (now.mono >= next_look_) {
        next_look_ = now.mono + Millis(250);
        gone = client_ && !client_->is_connected();
    }
    Phase phase{};
    bool greeting = false;
    bool clean_start = false;
    {
        const std::lock_guard lock(mutex_);
        if (gone && !greeting_due_) note_lost(now.mono);
        if (phase_ == Phase::disconnected && now.mono >= next_connect_) {
            phase_ = Phase::connecting;
            phase = Phase::connecting;
            clean_start = clean_start_;
        } else if (phase_ == Phase::connected) {
            phase = Phase::connected;
            greeting = std::exchange(greeting_due_, false);
        }
    }
    if (phase == Phase::connecting) connect(clean_start);
    if (phase != Phase::connected) return;
    if (greeting) greet();
    send_answers();
    send_waiting(now.mono);
}

void Device::greet() {
    try {
        client_->subscribe(topic("command/#"), 1);
        client_->publish(topic("state"), "online", 6, 1, true);
    } catch (const mqtt::exception& error) {
        // The connection broke again; the next one greets anew.
        say(fmt::format("cannot subscribe: {}", error.to_string()));
    }
}

void Device::send_waiting(MonoTime now) {
    const std::string telemetry = topic("telemetry/room");
    for (;;) {
        std::optional<Outbox::Sending> sending;
        {
            const std::lock_guard lock(mutex_);
            sending = outbox_.take(now);
        }
        if (!sending) return;
        if (sending->again) tally_.on_sent_again();
        auto message =
            mqtt::make_message(telemetry, std::move(sending->payload), options_.qos, /*retained=*/false);
        if (options_.mqtt_5()) {
            message->set_properties({{mqtt::property::CONTENT_TYPE, "application/json"}});
        }
        void* context = reinterpret_cast<void*>(static_cast<std::uintptr_t>(sending->attempt));
        try {
            client_->publish(message, context, publish_listener_);
        } catch (const mqtt::exception&) {
            // No connection any more, or Paho's own queue is full: it waits for the next step.
            const std::lock_guard lock(mutex_);
            outbox_.on_failed(sending->attempt, now + Millis(50));
            return;
        }
    }
}

void Device::measure(Now now) {
    Millis interval{};
    {
        const std::lock_guard lock(mutex_);
        interval = interval_;
        // A shortened interval takes effect at once, not after the long one.
        next_reading_ = std::min(next_reading_, now.mono + interval);
    }
    while (now.mono >= next_reading_ && (options_.count == 0 || seq_ < options_.count)) {
        if (!submit(room_.measure(), now.wall)) tally_.on_skipped();
        next_reading_ += interval;
    }
}

bool Device::submit(std::string_view members, WallTime time) {
    const std::lock_guard lock(mutex_);
    if (outbox_.full()) return false;
    ++seq_;
    tally_.on_sent();
    outbox_.push(seq_, telemetry_json(name_, seq_, time, members));
    return true;
}

bool Device::idle() const {
    const std::lock_guard lock(mutex_);
    return outbox_.empty();
}

void Device::message_arrived(mqtt::const_message_ptr message) {
    const std::string prefix = topic("command/");
    if (!message->get_topic().starts_with(prefix)) return;
    const std::string command = message->get_topic().substr(prefix.size());
    tally_.on_command();
    Answer answer;
    answer.topic = topic("answer/" + command);
    const mqtt::properties& properties = message->get_properties();
    if (properties.contains(mqtt::property::RESPONSE_TOPIC)) {
        answer.topic = mqtt::get<std::string>(properties, mqtt::property::RESPONSE_TOPIC);
    }
    if (properties.contains(mqtt::property::CORRELATION_DATA)) {
        answer.correlation = mqtt::get<std::string>(properties, mqtt::property::CORRELATION_DATA);
    }
    const std::lock_guard lock(mutex_);
    answer.payload = run_command(command, message->to_string());
    // Whoever floods a device with commands loses answers, not the device.
    if (answers_.size() < answers_max) answers_.push_back(std::move(answer));
}

std::string Device::run_command(std::string_view command, const std::string& payload) {
    ++commands_;
    nlohmann::ordered_json answer = {{"device", name_}, {"command", command}, {"ok", true}};
    if (command == "interval") {
        // A bare number or {"ms": number}.
        auto value = nlohmann::json::parse(payload, nullptr, /*allow_exceptions=*/false);
        if (value.is_object() && value.contains("ms")) value = nlohmann::json(value["ms"]);
        const double wanted_ms = value.is_number() ? value.get<double>() : 0;
        if (wanted_ms >= static_cast<double>(interval_min.count()) &&
            wanted_ms <= static_cast<double>(interval_max.count())) {
            interval_ = Millis(static_cast<Millis::rep>(wanted_ms));
        } else {
            answer["ok"] = false;
            answer["error"] = "expected milliseconds from 1 to 86400000";
        }
    } else if (command != "report") {
        answer["ok"] = false;
        answer["error"] = "unknown command; there are interval and report";
    }
    answer["interval_ms"] = interval_.count();
    answer["commands"] = commands_;
    answer["unacknowledged"] = outbox_.size();
    return answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Device::send_answers() {
    for (;;) {
        Answer answer;
        {
            const std::lock_guard lock(mutex_);
            if (answers_.empty()) return;
            answer = std::move(answers_.front());
            answers_.pop_front();
        }
        auto message = mqtt::make_message(answer.topic, answer.payload, 1, /*retained=*/false);
        if (!answer.correlation.empty()) {
            message->set_properties({{mqtt::property::CORRELATION_DATA, answer.correlation}});
        }
        try {
            client_->publish(message);
        } catch (const mqtt::exception& error) {
            say(fmt::format("answer not sent: {}", error.to_string()));
            return;
        }
    }
}

void Device::say_goodbye() {
    if (!client_ || !client_->is_connected()) return;
    try {
        // Not left to the will: an orderly DISCONNECT makes the broker discard it.
        goodbye_ = client_->publish(topic("state"), "offline", 7, 1, true);
    } catch (const mqtt::exception&) {
        goodbye_.reset();
    }
}

void Device::disconnect(Millis patience) {
    try {
        if (goodbye_) goodbye_->wait_for(patience);
        goodbye_ = client_ && client_->is_connected()
                       ? client_->disconnect(static_cast<int>(patience.count()))
                       : nullptr;
    } catch (const mqtt::exception&) {
        goodbye_.reset();
    }
}

void Device::await_disconnected(Millis patience) {
    try {
        if (goodbye_) goodbye_->wait_for(patience);
    } catch (const mqtt::exception&) {
        // The broker was faster to hang up.
    }
}

}  // namespace sluice::firmware
