#include "shard/loss_log.hpp"

#include <fmt/format.h>

#include "base/log.hpp"

namespace sluice::shard {

using core::DropReason;

namespace {

constexpr std::int64_t interval_ms = 10'000;

/// One thing that may happen often. Only literals: a line costs nothing while it is held back.
class Line {
  public:
    explicit Line(const char* what) : what_(what) {}
    void write(std::string_view whom, MonoTime now) {
        std::uint64_t suppressed = 0;
        if (what_ == nullptr || !limit_.allow(now.time_since_epoch().count(), suppressed)) return;
        log::warn(fmt::format("message lost: {} {} ({} more before)", what_, whom, suppressed));
    }

  private:
    const char* what_;
    log::RateLimit limit_{interval_ms};
};

Line& line_of(DropReason reason) {
    static Line none(nullptr), congested("write_buffer_bytes_max is reached, QoS 0 dropped for client"),
        queue_full("the queue is full, dropped for client"),
        too_large("larger than its Maximum Packet Size, dropped for client"),
        refused("refused by its receiver, client"),
        memory("limits.memory_max is near or reached, dropped for slow client");
    switch (reason) {
        case DropReason::offline_qos0:
        case DropReason::expired:
            break;
        case DropReason::congested_qos0:
            return congested;
        case DropReason::queue_full:
            return queue_full;
        case DropReason::too_large:
            return too_large;
        case DropReason::refused_by_receiver:
            return refused;
        case DropReason::memory:
            return memory;
    }
    return none;
}

}  // namespace

void log_drop(DropReason reason, std::string_view client_id, MonoTime now) {
    line_of(reason).write(client_id, now);
}

void log_rejected(std::string_view client_id, MonoTime now) {
    static Line line("its publisher is refused, because the queue is full of client");
    line.write(client_id, now);
}

void log_not_retained(std::string_view limit, MonoTime now) {
    static Line line("a retained message is delivered but not kept:");
    line.write(limit, now);
}

}  // namespace sluice::shard
