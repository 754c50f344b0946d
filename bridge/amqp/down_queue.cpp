#include "bridge/amqp/down_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bridge/mapping.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr std::size_t short_text_bytes_max = 255;  // AMQP's short string
constexpr std::uint32_t prefetch_max = 65'535;
/// Each has a channel, and RabbitMQ allows 2047 on a connection.
constexpr std::size_t rows_max = 1'000;

/// A name at the server, in which {origin} may stand.
Result<std::string, std::string> name_of(std::string_view key, const std::string& text,
                                         const std::string& origin) {
    auto parsed = Template::parse(text, origin);
    if (!parsed) return Err{fmt::format("{}: {}", key, parsed.error())};
    if (!parsed->is_literal())
        return Err{
            fmt::format("{}: '{}' would be another one for each message; expected no placeholder but "
                        "{{origin}}",
                        key, text)};
    auto name = parsed->render(*core::Message::freeze({}));
    if (!name) return Err{fmt::format("{}: {}", key, name.error())};
    if (name->size() > short_text_bytes_max)
        return Err{
            fmt::format("{}: has {} bytes; expected at most {}", key, name->size(), short_text_bytes_max)};
    return name;
}

Result<DownQueue, std::string> make_queue(const AmqpDown& settings, const std::string& origin) {
    if (!settings.declare && !settings.binding_keys.empty())
        return Err{std::string("binding_keys: have no meaning here; expected declare = true beside them")};
    if (!settings.declare && !settings.dead_letter_exchange.empty())
        return Err{
            std::string("dead_letter_exchange: has no meaning here; expected declare = true beside it")};
    DownQueue queue{.declare = settings.declare, .type = settings.queue_type};
    queue.message_bytes_max = settings.message_bytes_max;
    auto name = name_of("queue", settings.queue, origin);
    if (!name) return Err{name.error()};
    if (name->empty()) return Err{std::string("queue: is empty; expected the name of a queue")};
    queue.name = std::move(name).value();
    auto exchange = name_of("exchange", settings.exchange, origin);
    if (!exchange) return Err{exchange.error()};
    if (exchange->empty() && !settings.binding_keys.empty())
        return Err{
            std::string("exchange: is empty; expected a name, for nothing is bound to the default exchange")};
    queue.exchange = std::move(exchange).value();
    auto dead = name_of("dead_letter_exchange", settings.dead_letter_exchange, origin);
    if (!dead) return Err{dead.error()};
    queue.dead_letter_exchange = std::move(dead).value();
    for (const std::string& text : settings.binding_keys) {
        auto key = name_of("binding_keys", text, origin);
        if (!key) return Err{key.error()};
        queue.binding_keys.push_back(std::move(key).value());
    }
    return queue;
}

}  // namespace

Result<std::vector<DownQueue>, std::string> make_down_queues(const ConnectorSpec& spec) {
    std::vector<DownQueue> queues;
    if (spec.down_routes.size() > rows_max)
        return Err{fmt::format("{}: {} rows of [[bridge.down]]; expected at most {}", spec.place,
                               spec.down_routes.size(), rows_max)};
    std::uint64_t asked = 0, without = 0;
    for (const RouteSpec& row : spec.down_routes) {
        const auto& settings = *static_cast<const AmqpDown*>(row.settings.get());
        auto queue = make_queue(settings, spec.origin);
        if (!queue) return Err{fmt::format("{}: {}", row.place, queue.error())};
        queue->prefetch = static_cast<std::uint16_t>(settings.prefetch);
        asked += settings.prefetch;
        without += settings.prefetch == 0 ? 1 : 0;
        queues.push_back(std::move(queue).value());
    }
    if (asked + without > spec.down_inflight_max)
        return Err{
            fmt::format("{}: down_inflight_max: is {}, and the rows of [[bridge.down]] prefetch at "
                        "least {} messages; expected no less than that",
                        spec.place, spec.down_inflight_max, asked + without)};
    for (DownQueue& queue : queues) {
        if (queue.prefetch == 0)
            queue.prefetch = static_cast<std::uint16_t>(
                std::min<std::uint64_t>((spec.down_inflight_max - asked) / without, prefetch_max));
    }
    return queues;
}

}  // namespace sluice::bridge::amqp
