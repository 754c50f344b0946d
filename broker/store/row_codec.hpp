#pragma once
/// The bytes of what stands in a row beside the message itself: targets, progress, options. Each run begins
/// with its checksum; decoding what somebody else wrote never fails otherwise than with "no".
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "core/ledger.hpp"

namespace sluice::store {

/// Targets of one message row: checksum u32; then for each target, until the end: session (varint), flags
/// (bits 0-1 QoS, bit 2 retain, bit 3 identifiers follow, bit 4 a share follows), [count (varint),
/// identifiers (varints)], [size (varint), "$share/GROUP/FILTER"].
class TargetsWriter {
  public:
    void start();
    void add(const core::QueueTarget& target);
    /// The finished run; valid until the next start().
    Bytes finish(core::RowId row);

  private:
    ByteBuffer out_;
};

/// Walks a targets run without building a list of it.
class TargetsReader {
  public:
    TargetsReader(core::RowId row, Bytes run);
    bool damaged() const { return damaged_; }
    /// False at the end, or when damaged.
    bool next(core::QueueTarget& target);

  private:
    Bytes rest_;
    bool damaged_ = false;
};

ByteBuffer encode_progress(const core::SaveProgress& progress);
std::optional<core::SaveProgress> decode_progress(core::SessionKey session, Bytes run);

/// The rest of a note: checksum u32; content u32; count (varint), sessions (varints); then for each group,
/// until the end: size (varint), text.
ByteBuffer encode_arrival(const core::NoteArrival& note);
/// Fills in all but what is the row's key.
bool decode_arrival(Bytes run, core::NoteArrival& note);

std::uint32_t encode_options(const core::SubscriptionOptions& options);
/// Without the identifier, which has a column of its own.
std::optional<core::SubscriptionOptions> decode_options(std::uint64_t bits);

std::uint32_t checksum_of(const core::SessionRecord& record);
std::uint32_t checksum_of(const core::SaveSubscription& subscription);

}  // namespace sluice::store
