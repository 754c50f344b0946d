#pragma once
/// A line in the log now and then about messages that do not reach somebody: the counters tell how many, this
/// tells for example whom. Any thread.
#include <string_view>

#include "base/clock.hpp"
#include "core/effects.hpp"

namespace sluice::shard {

/// A message for `client_id` was dropped. QoS 0 for who is not there, and what has expired, is as it should
/// be and not logged.
void log_drop(core::DropReason reason, std::string_view client_id, MonoTime now);
/// Its publisher was told that it is refused, because the queue of `client_id` is full.
void log_rejected(std::string_view client_id, MonoTime now);
/// It was delivered, but is not kept as the retained message of its topic. `limit`: which one is reached.
void log_not_retained(std::string_view limit, MonoTime now);

}  // namespace sluice::shard
