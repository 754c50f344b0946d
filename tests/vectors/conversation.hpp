#pragma once
/// The conversations of tests/vectors/conversations: what clients send and what they must get, as data.
/// README.md in that folder tells how they are written.
#include <string>
#include <vector>

#include "packet.hpp"

namespace sluice::test {

struct Conversation {
    std::string name;          ///< unique, letters, digits and '_'
    std::string file;          ///< without folder and ending
    int level = 5;             ///< protocol level of every CONNECT that names none
    std::string limits;        ///< lines of the [limits] table, and tables behind it
    bool slow = false;         ///< time passes in it; it is not repeated for every way of cutting
    bool restarts = false;     ///< only for a broker that keeps what it promised
    std::string known_broken;  ///< why it is expected to fail; empty: it is not
    Json steps;
};

/// All of them, in the order of files and lines. Throws when one is written wrongly.
const std::vector<Conversation>& all_conversations();

}  // namespace sluice::test
