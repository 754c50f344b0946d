#include "firmware_sim/telemetry.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace sluice::firmware {

SimulatedRoom::SimulatedRoom(std::uint64_t seed) : random_(seed) {
    temperature_c_ = std::uniform_real_distribution<>(18, 26)(random_);
    humidity_percent_ = std::uniform_real_distribution<>(25, 55)(random_);
    co2_ppm_ = std::uniform_real_distribution<>(420, 900)(random_);
}

double SimulatedRoom::drift(double value, double step, double low, double high) {
    return std::clamp(value + std::normal_distribution<>(0, step)(random_), low, high);
}

std::string SimulatedRoom::measure() {
    temperature_c_ = drift(temperature_c_, 0.05, 10, 40);
    humidity_percent_ = drift(humidity_percent_, 0.1, 10, 90);
    co2_ppm_ = drift(co2_ppm_, 5, 400, 2500);
    return fmt::format(R"("temperature":{:.2f},"humidity":{:.1f},"co2":{:.0f})", temperature_c_,
                       humidity_percent_, co2_ppm_);
}

std::string telemetry_json(std::string_view device, std::uint64_t seq, WallTime time,
                           std::string_view members) {
    return fmt::format(R"({{"device":"{}","seq":{},"time":"{}"{}{}}})", device, seq, format_time(time),
                       members.empty() ? "" : ",", members);
}

std::string format_time(WallTime time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const auto millis = (time - seconds).count();
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), millis);
}

std::string device_name(int number) {
    return fmt::format("device-{:04}", number);
}

}  // namespace sluice::firmware
