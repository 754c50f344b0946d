#pragma once
/// The name of this gateway among all that share an upstream: 16 random hexadecimal digits, made once.
#include <string>

namespace sluice::app {

/// Of the file `gateway.id` in `data_dir`, which is made when it is missing or holds something else. When it
/// cannot be kept, a name for this life only, with a line in the log: consumers upstream then take what is
/// sent again after a restart for something new. At start, main thread.
std::string load_gateway_id(const std::string& data_dir);
/// A new one.
std::string make_gateway_id();

}  // namespace sluice::app
