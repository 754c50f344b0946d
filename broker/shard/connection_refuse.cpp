// What a client may not publish or subscribe to: rights and limits, each with its reason code, its counter
// and a line in the log.
#include <fmt/format.h>

#include "base/log.hpp"
#include "shard/connection.hpp"
#include "wire/topic.hpp"

namespace sluice::shard {

using wire::ReasonCode;

std::optional<Refused> Connection::refuse_topic(std::string_view topic) const {
    const Limits& limits = shard_.limits();
    if (topic.size() > limits.topic_bytes_max)
        return Refused{Refusal::topic_bytes, ReasonCode::topic_name_invalid,
                       "the topic is longer than this server accepts"};
    if (wire::level_count(topic) > limits.topic_levels_max)
        return Refused{Refusal::topic_levels, ReasonCode::topic_name_invalid,
                       "the topic has more levels than this server accepts"};
    if (topic.starts_with(sys_prefix))
        return Refused{Refusal::sys_topic, ReasonCode::not_authorized,
                       "only the server publishes below $SYS/"};
    if (!shard_.may(auth::Action::publish, shard_.slot(id_), topic))
        return Refused{Refusal::not_authorized, ReasonCode::not_authorized,
                       "no access rule allows to publish to this topic"};
    return std::nullopt;
}

std::optional<Refused> Connection::refuse_payload(const wire::Publish& packet) {
    // [MQTT5 3.3.2.3.2]
    if (packet.properties.payload_format_indicator != 1 || wire::is_utf8(as_text(packet.payload)))
        return std::nullopt;
    return Refused{Refusal::payload_format, ReasonCode::payload_format_invalid,
                   "the payload is not the UTF-8 that its format indicator says"};
}

std::optional<Refused> Connection::refuse_filter(std::string_view filter) {
    const Limits& limits = shard_.limits();
    if (filter.size() > limits.topic_bytes_max)
        return Refused{Refusal::topic_bytes, ReasonCode::topic_filter_invalid,
                       "a filter is longer than this server accepts"};
    if (wire::level_count(filter) > limits.topic_levels_max)
        return Refused{Refusal::topic_levels, ReasonCode::topic_filter_invalid,
                       "a filter has more levels than this server accepts"};
    const auto& mine = slot().subscriptions;
    if (mine.size() >= limits.subscriptions_max && !mine.contains(filter))
        return Refused{Refusal::subscriptions, ReasonCode::quota_exceeded,
                       "the client has as many subscriptions as this server allows"};
    if (!shard_.may_keep(subscription_bytes(filter)) && !mine.contains(filter))
        return Refused{Refusal::memory, ReasonCode::quota_exceeded,
                       "the server has no memory for another subscription"};
    return std::nullopt;
}

void Connection::note_refusal(const Refused& refused) {
    const auto index = static_cast<std::size_t>(refused.reason);
    shard_.counters().refusals[index].add();
    if (refused.reason == Refusal::not_authorized) shard_.counters().not_authorized.add();
    static log::RateLimit limits[refusal_count] = {
        log::RateLimit(10'000), log::RateLimit(10'000), log::RateLimit(10'000), log::RateLimit(10'000),
        log::RateLimit(10'000), log::RateLimit(10'000), log::RateLimit(10'000)};
    std::uint64_t suppressed = 0;
    if (!limits[index].allow(shard_.now().mono.time_since_epoch().count(), suppressed)) return;
    log::warn(fmt::format("{} is refused something: {} ({}; {} more such refusals before)", describe(),
                          refused.text, name_of(refused.code), suppressed));
}

}  // namespace sluice::shard
