// SUBSCRIBE and UNSUBSCRIBE.
#include "shard/connection.hpp"
#include "wire/topic.hpp"

namespace sluice::shard {

using wire::PacketType;
using wire::ReasonCode;

namespace {

const char* why_no_filter(ReasonCode code) {
    if (code != ReasonCode::not_authorized) return nullptr;  // the code says it all
    return "no access rule allows to subscribe to a filter";
}

}  // namespace

void Connection::count_work(SubscribeWork& work) {
    work.bytes = work.codes.capacity() + work.send_retained.capacity() * sizeof(LinkSpec::Wanted);
    for (const LinkSpec::Wanted& wanted : work.send_retained) work.bytes += wanted.filter.size();
    work_bytes_ += work.bytes;
}

Connection::Step Connection::handle_subscribe(const wire::Frame& frame) {
    const auto packet = wire::decode_subscribe(version_, frame.body);
    if (!packet) return Err{packet.error()};
    shard_.catch_up_with_mail();
    if (gone_) return {};
    const auto& identifiers = packet->properties.subscription_identifiers;
    const std::uint64_t cookie = push_ack(PacketType::suback, packet->packet_id);
    ack_at(cookie).work = std::make_unique<SubscribeWork>();
    SubscribeWork& work = *ack_at(cookie).work;
    with_ticket(cookie, [&](TicketId ticket) {
        // One code per filter, in their order [MQTT-3.9.3-1].
        for (const wire::SubscribeEntry& entry : packet->entries) {
            if (const auto refused = refuse_filter(entry.filter)) {
                note_refusal(*refused);
                if (!work.why) work.why = refused->text;
                work.codes.push_back(refused->code);
                continue;
            }
            work.codes.push_back(subscribe_one(entry, identifiers.empty() ? 0 : identifiers.front(), work));
            if (is_error(work.codes.back()) && !work.why) work.why = why_no_filter(work.codes.back());
        }
        count_work(work);
        // A persistent session's subscription is a promise as well: SUBACK waits for the disk.
        shard_.hold_until_saved(ticket, id_);
        // And until every shard knows the groups that it made.
        shard_.announce_groups(ticket);
    });
    return {};
}

ReasonCode Connection::subscribe_one(const wire::SubscribeEntry& entry, std::uint32_t identifier,
                                     SubscribeWork& work) {
    const wire::ShareName share = wire::parse_share(entry.filter);
    // Before MQTT 5 only: there "$share/..." is well formed in any case, and we know no meaning of it.
    if (!share.valid) return ReasonCode::topic_filter_invalid;
    if (!shard_.may(auth::Action::subscribe, slot(), share.filter)) {
        shard_.counters().not_authorized.add();
        return ReasonCode::not_authorized;
    }
    core::SubscriptionOptions options;
    options.qos = entry.qos;
    options.no_local = entry.no_local;
    options.retain_as_published = entry.retain_as_published;
    options.retain_handling = entry.retain_handling;
    options.identifier = identifier;
    const bool is_new = shard_.subscribe(id_, entry.filter, options);
    // [MQTT-3.3.1-9, -10, -11]
    const bool wants_retained = entry.retain_handling == wire::RetainHandling::send ||
                                (entry.retain_handling == wire::RetainHandling::send_if_new && is_new);
    // Shared subscriptions get no retained messages [MQTT5 4.8.2].
    if (wants_retained && share.group.empty())
        work.send_retained.push_back({std::string(entry.filter), options});
    return static_cast<ReasonCode>(entry.qos);
}

Connection::Step Connection::handle_unsubscribe(const wire::Frame& frame) {
    const auto packet = wire::decode_unsubscribe(version_, frame.body);
    if (!packet) return Err{packet.error()};
    shard_.catch_up_with_mail();
    if (gone_) return {};
    const std::uint64_t cookie = push_ack(PacketType::unsuback, packet->packet_id);
    ack_at(cookie).work = std::make_unique<SubscribeWork>();
    SubscribeWork& work = *ack_at(cookie).work;
    with_ticket(cookie, [&](TicketId ticket) {
        for (const std::string_view filter : packet->filters) {
            const bool existed = shard_.unsubscribe(id_, filter);
            work.codes.push_back(existed ? ReasonCode::success : ReasonCode::no_subscription_existed);
        }
        count_work(work);
        shard_.hold_until_saved(ticket, id_);
    });
    return {};
}

}  // namespace sluice::shard
