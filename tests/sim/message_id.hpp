#pragma once
/// Which message of the model this is: its Correlation Data says so.
#include "core/message.hpp"
#include "tests/sim/oracle.hpp"

namespace sluice::sim {

ByteBuffer bytes_of_id(MessageId id);
/// 0: none of the model's.
MessageId id_of_bytes(Bytes bytes);
MessageId id_of_message(const core::Message& message);

}  // namespace sluice::sim
