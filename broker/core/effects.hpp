#pragma once
/// Effects: what one step of a session wants done. Core fills it, the shard executes it.
#include <cstdint>
#include <vector>

#include "core/ledger.hpp"

namespace sluice::core {

/// One packet for the far end of a session.
struct Send {
    enum class Kind : std::uint8_t { publish, pubrel };
    Kind kind = Kind::publish;
    wire::QoS qos = wire::QoS::at_most_once;
    bool retain = false;
    bool dup = false;
    /// Must not leave before the turn's ledger is durable: QoS 2 of a persistent session that is sent as it
    /// comes, or a crash would deliver it twice. What waited in a queue is recorded before it gets here.
    bool after_commit = false;
    wire::PacketId packet_id = 0;
    RowId row = 0;       ///< of the message; 0: it is in no store
    MessagePtr message;  ///< none for a PUBREL
    std::vector<std::uint32_t> subscription_identifiers;
    wire::ReasonCode code = wire::ReasonCode::success;  ///< of a PUBREL
};

/// Why a message will not reach a session.
enum class DropReason : std::uint8_t {
    offline_qos0,
    congested_qos0,
    queue_full,
    expired,
    too_large,
    refused_by_receiver,
    memory  ///< limits.memory_max: the receiver does not keep up
};
constexpr std::size_t drop_reason_count = 7;

struct Drop {
    DropReason reason;
    RowId row = 0;
};

struct Effects {
    std::vector<Send> sends;
    std::vector<SettleMessage> settled;  ///< for the ledger; also tells who waits for a message's end
    std::vector<Drop> drops;
    bool progress_changed = false;  ///< the session's SaveProgress belongs into this turn's batch
    /// What its oldest messages in the store are is to be found out: Session::on_oldest_found.
    bool oldest_wanted = false;
    bool load_wanted = false;  ///< its next window is to be read from the store, after Session::load_after()

    void clear() {
        sends.clear();
        settled.clear();
        drops.clear();
        progress_changed = oldest_wanted = load_wanted = false;
    }
};

}  // namespace sluice::core
