#pragma once
/// Where the programs and files of this build and this source tree are.
#include <cstdlib>
#include <string>

namespace sluice::test {

/// SLUICED in the environment names another build's binary, as for SluicedProcess.
inline std::string sluiced() {
    const char* given = std::getenv("SLUICED");
    return given ? given : SLUICE_BINARY_DIR "/bin/sluiced";
}
inline std::string program(const std::string& name) {
    return SLUICE_BINARY_DIR "/bin/" + name;
}
inline std::string source(const std::string& path) {
    return SLUICE_SOURCE_DIR "/" + path;
}

}  // namespace sluice::test
