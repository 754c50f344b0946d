#pragma once
/// Secrets stand beside the settings file, not in it: "file:PATH" or "env:NAME".
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace sluice::app {

/// The secret behind `given`, which may also be the secret itself. Of a file one line end at its end is not
/// part of the secret. Errors name the file or variable and never the content.
Result<std::string, std::string> resolve_secret(std::string_view given, const std::string& folder);

/// The whole of a regular file of at most `bytes_max`; else the reason.
Result<std::string, std::string> read_regular_file(const std::string& path, std::size_t bytes_max);

}  // namespace sluice::app
