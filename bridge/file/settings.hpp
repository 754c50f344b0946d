#pragma once
/// The keys of `type = "file"`.
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "base/settings.hpp"

namespace sluice::bridge::file {

/// How a payload stands in its line. `automatic`: as JSON when it is one document, else as text when it is
/// UTF-8, else as base64.
enum class PayloadForm : std::uint8_t { automatic, text, base64, json };

struct FileSettings {
    std::string directory;
    std::uint64_t rotate_bytes = 64ULL * 1024 * 1024;
    std::chrono::milliseconds rotate_age{3'600'000};  ///< 0: never
    std::uint32_t files_max = 100;                    ///< 0: no limit
    std::uint64_t files_bytes_max = 0;                ///< 0: no limit
    std::string mode = "0640";
};
std::span<const SettingRow> bridge_rows();

struct FileRoute {
    std::string file = "messages";
    PayloadForm payload = PayloadForm::automatic;
    bool headers = true;
};
std::span<const SettingRow> route_rows();

}  // namespace sluice::bridge::file
