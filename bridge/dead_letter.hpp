#pragma once
/// A dead letter is the message itself with three user properties more, which say where it was to go, why it
/// did not and when: so it lies in an ordinary queue.
#include <optional>
#include <string>
#include <string_view>

#include "core/ledger.hpp"
#include "shard/bridge_control.hpp"

namespace sluice::bridge {

/// `reason` may be any bytes of any length.
core::MessagePtr bury(const core::Message& message, std::string_view route, std::string_view reason,
                      WallTime now);

struct Buried {
    std::string_view route, reason;  ///< of the dead letter that it was made from
    WallTime refused{};
    Bytes properties;  ///< those of the message as it was
};
/// Borrows from the message; nothing when it is not what bury() made.
std::optional<Buried> look_at(const core::Message& dead);
/// The message as it was.
core::MessagePtr dig_up(const core::Message& dead, const Buried& buried);
/// For operators; `whole`: with payload and properties.
shard::DeadLetter describe(core::RowId id, const core::Message& dead, const Buried& buried,
                           std::string_view bridge, bool whole);

}  // namespace sluice::bridge
