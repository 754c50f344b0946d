#pragma once
/// The vectors of tests/vectors/wire: packets written down by hand, with what a decoder must say to them.
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "wire/packets.hpp"

namespace sluice::test {

struct Vector {
    std::string name;
    wire::Version version;
    ByteBuffer bytes;
    std::string expect;     ///< "ok", "incomplete", or the name of a reason code
    std::string statement;  ///< the normative statement that decides; may be empty
    bool canonical;         ///< an encoder writes the very same bytes
};

std::vector<std::string> vector_files();
std::vector<Vector> load_vectors(const std::string& file);

}  // namespace sluice::test
