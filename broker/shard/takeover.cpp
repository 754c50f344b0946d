// Take-overs that have to wait: see TakeoverDamper. What waits is a client that is let in, but has not had
// its CONNACK; at most one to a client id.
#include <fmt/format.h>
#include <poll.h>

#include "base/log.hpp"
#include "base/quote.hpp"
#include "shard/connection.hpp"
#include "shard/shard.hpp"

namespace sluice::shard {
namespace {

/// The other side has ended the connection meanwhile.
bool is_gone(int fd) {
    pollfd look{fd, POLLRDHUP, 0};
    return ::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

bool Shard::hold_takeover(Admission& admission) {
    const core::SubscriberId id = find_client(admission.client_id);
    const bool connected = id != UINT32_MAX && slots_[id].link && !slots_[id].lane;
    const auto held = held_takeovers_.find(admission.client_id);
    if (!connected) {
        if (held != held_takeovers_.end()) held_takeovers_.erase(held);  // this one is newer
        return false;
    }
    if (held != held_takeovers_.end()) {
        // It waits as long as the one before it would have.
        counters_.takeovers_delayed.add();
        held->second->admission = std::move(admission);
        return true;
    }
    const Millis delay = damper_.note(admission.client_id, now().mono);
    if (delay == Millis(0)) return false;
    counters_.takeovers_delayed.add();
    const auto* present = static_cast<const Connection*>(slots_[id].link.get());
    log::warn(fmt::format("client {}: {} and {} fight over this client id; the newcomer {} waits for {} ms",
                          log::quote(admission.client_id), present->address(),
                          admission.channel.identity.address, admission.channel.identity.address,
                          delay.count()));
    auto waiting = std::make_unique<HeldTakeover>(context_, std::move(admission));
    waiting->timer.expires_after(delay);
    waiting->timer.async_wait(
        [this, client_id = waiting->admission.client_id](const boost::system::error_code& error) {
            if (!error) release_takeover(client_id);
        });
    const std::string client_id = waiting->admission.client_id;
    held_takeovers_.emplace(client_id, std::move(waiting));
    return true;
}

void Shard::release_takeover(const std::string& client_id) {
    auto held = held_takeovers_.extract(client_id);
    if (held.empty()) return;
    Admission& admission = held.mapped()->admission;
    if (is_gone(admission.channel.fd)) {
        log::info(fmt::format("client {} at {} went away while it waited for its take-over",
                              log::quote(admission.client_id), admission.channel.identity.address));
        return;
    }
    enter(std::move(admission));
}

}  // namespace sluice::shard
