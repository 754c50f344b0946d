#pragma once
/// `sluicectl`: asks a running broker by its HTTP port, looks after its store, and makes its password file.
#include <iosfwd>

namespace sluice::app {

/// All of main() but its arguments. 0: done, and for `status` and `health`: all is well. 1: the broker has
/// alarms, or is not live; for all others: it could not be done, or something is damaged. 2: usage. 3: no
/// broker answers, or not as one.
int answer_ctl(int argc, const char* const* argv, std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace sluice::app
