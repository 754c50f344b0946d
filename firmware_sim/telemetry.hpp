#pragma once
/// What a simulated device measures, and how a message reads.
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace sluice::firmware {

/// A room whose climate drifts: values that look measured and differ from message to message.
class SimulatedRoom {
  public:
    explicit SimulatedRoom(std::uint64_t seed);
    /// The next reading as JSON members without braces.
    std::string measure();

  private:
    double drift(double value, double step, double low, double high);

    std::mt19937_64 random_;
    double temperature_c_;
    double humidity_percent_;
    double co2_ppm_;
};

/// `{"device":"device-0001","seq":7,"time":"2026-01-31T10:00:00.123Z",MEMBERS}`
std::string telemetry_json(std::string_view device, std::uint64_t seq, WallTime time,
                           std::string_view members);

/// RFC 3339 in UTC with milliseconds.
std::string format_time(WallTime time);

/// `device-0001`: also the client id and the name of the certificate.
std::string device_name(int number);

}  // namespace sluice::firmware
