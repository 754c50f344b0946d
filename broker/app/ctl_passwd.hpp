#pragma once
/// `sluicectl passwd`: makes and changes the broker's password file. Needs no running broker.
#include <cstdint>
#include <iosfwd>
#include <string>

#include "auth/scram_keys.hpp"

namespace sluice::app {

struct PasswdOptions {
    std::string file;
    std::string user_name;
    bool from_stdin = false;  ///< the first line of it is the password; else the terminal is asked
    bool remove = false;
    bool mosquitto = false;  ///< an entry that mosquitto can read too, and SCRAM cannot use
    std::uint32_t iterations = auth::ScramKeys::iterations_default;
};

/// 0: done. 1: not; the reason is a line in `err`, and the file is as it was.
int change_password(const PasswdOptions& options, std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace sluice::app
