// Wills [MQTT5 3.1.2.5]. With the batch that publishes a will its session's record forgets it: a restart must
// not find it again. Where other shards have a part in it, which they make durable in commits of their own,
// the store keeps the will until they have answered, as that of a session without a client id. A restart
// publishes it once more, past those who have noted that they have it (once.cpp).
#include <boost/asio/post.hpp>

#include "shard/connection.hpp"
#include "shard/shard.hpp"

namespace sluice::shard {

using core::SubscriberId;

namespace {

/// A will was frozen at CONNECT, but its expiry begins when it is published [MQTT5 3.1.3.2.4].
core::MessagePtr as_published_at(const core::Message& will, WallTime now) {
    return core::Message::freeze({.topic = will.topic(),
                                  .properties = will.properties(),
                                  .payload = will.payload(),
                                  .qos = will.qos(),
                                  .retain = will.retain(),
                                  .client_id = will.client_id(),
                                  .user_name = will.user_name(),
                                  .received = now,
                                  .expiry_interval_s = will.expiry_interval_s()});
}

}  // namespace

void Shard::publish_will(SubscriberId id) {
    Slot& s = slots_[id];
    if (!s.will) return;
    const core::MessagePtr message = as_published_at(*s.will->message, now().wall);
    s.will.reset();
    count_kept(s);
    const bool durable = s.session && s.session->durable();
    if (!durable || is_only_shard() || message->qos() == wire::QoS::at_most_once) {
        publish(message, 0);
    } else {
        if (message->retain()) retain(message);
        const core::SessionKey keeper = next_session_key();
        route_kept_will(message, keeper, make_origin(keeper, 1, *message));
    }
    if (durable) save_session(id);
}

void Shard::route_kept_will(const core::MessagePtr& message, core::SessionKey keeper,
                            const OriginPtr& origin) {
    if (is_only_shard()) {
        route(message, 0, origin);
        batch_.emplace_back(core::RemoveSession{keeper});
        return;
    }
    const std::uint64_t cookie = ++errand_counter_;
    errands_.emplace(cookie, KeptWill{keeper});
    const TicketId ticket = tickets_.open(*this, cookie);
    core::SessionRecord record;
    record.key = keeper;
    record.disconnected_at = now().wall;
    record.will = core::StoredWill{message, 0};
    batch_.emplace_back(core::SaveSession{std::move(record)});
    route(message, ticket, origin);
    tickets_.answer(ticket, wire::ReasonCode::success, false);
}

void Shard::restore_will(const store::RecoveredSession& recovered) {
    const core::MessagePtr& message = recovered.record.will->message;
    const core::SessionKey keeper = recovered.record.key;
    const auto noted = origins_of(recovered.arrivals);
    const OriginPtr origin = noted.empty() ? make_origin(keeper, 1, *message) : noted.begin()->second;
    // When all sessions are back, here and on the other shards. What it retains was retained with the batch
    // that published it first, and may have been replaced since.
    boost::asio::post(context_, [this, message, keeper, origin] {
        catch_up_with_mail();  // what the others have told of their groups
        route_kept_will(message, keeper, origin);
    });
}

}  // namespace sluice::shard
