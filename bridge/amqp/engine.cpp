#include "bridge/amqp/engine.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "bridge/amqp/properties.hpp"

namespace sluice::bridge::amqp {
namespace {

using std::chrono::milliseconds;

/// For an exchange that a route waits for.
constexpr std::chrono::seconds look_every{5};
constexpr std::size_t short_text_bytes_max = 255;  // AMQP's short string: exchange and routing key

WallTime wall_now() {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
}

}  // namespace

AmqpEngine::AmqpEngine(ConnectorSpec spec, AmqpSettings settings, std::vector<ServerAddress> servers,
                       std::vector<Route> routes)
    : bridge_name_(std::move(spec.bridge_name)),
      origin_(std::move(spec.origin)),
      settings_(std::move(settings)),
      servers_(std::move(servers)),
      routes_(std::move(routes)),
      watchdog_(settings_.heartbeat * 2),
      backoff_(backoff_seed(bridge_name_)),
      lanes_(backoff_seed(bridge_name_)) {}

void AmqpEngine::run(Worker& worker) {
    while (!worker.stopping()) {
        if (connect(worker)) serve(worker);
        if (worker.stopping()) {
            if (connection_ && down_reason_.empty()) drain(worker);
            break;
        }
        connection_.reset();
        lanes_.clear();  // void now: an outage of hours must not hold their memory
        sent_.clear();
        worker.down(down_reason_);
        if (!worker.pause(backoff_.next())) break;
    }
    connection_.reset();
}

bool AmqpEngine::connect(Worker& worker) {
    lanes_.clear();
    sent_.clear();
    waited_for_ = 1;
    suspects_.end_trial();
    down_reason_.clear();
    blocked_reason_.clear();
    nack_reason_.clear();
    blocked_ = wants_room_ = false;
    const ServerAddress& server = servers_[next_server_++ % servers_.size()];
    auto opened = Connection::open(settings_, server, worker, watchdog_, 2);
    if (!opened) {
        down_reason_ = opened.error();
        return false;
    }
    connection_ = std::move(opened).value();
    down_reason_ = prepare_channels();
    return down_reason_.empty();
}

/// A missing exchange closes the channel and makes void what other routes have on it. So those that can be
/// known beforehand are asked for before anything is sent, and their routes wait. What a message names closes
/// the channel once, and is refused then.
std::string AmqpEngine::prepare_channels() {
    waiting_routes_.clear();
    for (const amqp_channel_t channel : {1, 2})
        if (auto problem = connection_->open_channel(channel); !problem.empty()) return problem;
    for (std::uint32_t route = 0; route < routes_.size(); ++route)
        if (auto problem = find_exchange(route); !problem.empty()) return problem;
    next_look_ = Steady::now() + look_every;
    return connection_->start_confirms();
}

std::string AmqpEngine::find_exchange(std::uint32_t route) {
    if (!routes_[route].exchange.is_literal()) return {};
    const auto name = routes_[route].exchange.render(*core::Message::freeze({}));
    if (!name) return {};
    // The default one is always there, and may not be asked for.
    const auto found = name->empty() ? Connection::CallResult{} : connection_->check_exchange(*name);
    if (found.problem.empty()) {
        // It is there, which does not mean that we may write to it.
        const auto bad = bad_places_.find(*name);
        if (bad != bad_places_.end() && bad->second.is_forbidden && Steady::now() < bad->second.until) {
            wait_for_exchange(route, bad->second.reason);
        } else {
            waiting_routes_.erase(route);
            if (bad != bad_places_.end()) bad_places_.erase(bad);
        }
        return {};
    }
    if (found.code != AMQP_NOT_FOUND && found.code != AMQP_ACCESS_REFUSED) return found.problem;
    wait_for_exchange(route, found.problem);
    return {};
}

void AmqpEngine::wait_for_exchange(std::uint32_t route, std::string why) {
    const auto [at, is_new] = waiting_routes_.insert_or_assign(route, std::move(why));
    if (is_new)
        log::warn(fmt::format("amqp: a route waits for its exchange bridge={} error=\"{}\"", bridge_name_,
                              at->second));
}

void AmqpEngine::look_for_exchanges() {
    // A server that blocks does not read what we ask.
    if (waiting_routes_.empty() || blocked_ || Steady::now() < next_look_) return;
    const auto waiting = waiting_routes_;
    for (const auto& [route, why] : waiting)
        if (down_reason_.empty()) down_reason_ = find_exchange(route);
    next_look_ = Steady::now() + look_every;
}

void AmqpEngine::serve(Worker& worker) {
    last_progress_ = Steady::now();
    worker.up();
    while (!worker.stopping() && down_reason_.empty()) {
        wait(worker, wait_time());
        read();
        lanes_.push(worker.take());
        if (down_reason_.empty()) look_for_exchanges();
        pump();
        worker.confirm(confirms_);
        worker.retried(lanes_.take_retried());
        show_stall(worker);
    }
}

/// At the end of life: waits for the confirms of what was sent.
void AmqpEngine::drain(Worker& worker) {
    while (!sent_.empty() && down_reason_.empty() && Steady::now() < worker.stop_deadline()) {
        wait(worker, milliseconds(20));
        read();
        worker.confirm(confirms_);
    }
    if (down_reason_.empty()) connection_->close();
}

void AmqpEngine::wait(Worker& worker, milliseconds longest) {
    if (connection_->has_buffered()) longest = milliseconds(0);
    const short wanted = static_cast<short>(wants_room_ && !blocked_ ? POLLIN | POLLOUT : POLLIN);
    std::array<pollfd, 2> waiting{{{connection_->fd(), wanted, 0}, {worker.wake_fd(), POLLIN, 0}}};
    ::poll(waiting.data(), waiting.size(), static_cast<int>(longest.count()));
    worker.clear_wake();
}

/// Short enough for heartbeats: they are only looked at when we look.
milliseconds AmqpEngine::wait_time() {
    const auto longest = std::clamp(settings_.heartbeat / 4, milliseconds(100), milliseconds(2500));
    const auto now = Steady::now();
    auto at = lanes_.wake_at(now);
    if (!waiting_routes_.empty() && !blocked_) at = std::min(at, std::max(now, next_look_));
    if (at == Steady::time_point::max()) return longest;
    return std::min(longest, std::chrono::ceil<milliseconds>(at - now));
}

void AmqpEngine::pump() {
    wants_room_ = false;
    if (suspects_go_first()) return;
    for (auto& [id, lane] : lanes_) {
        const auto now = Steady::now();
        while (down_reason_.empty() && may_send(lane, now)) {
            if (!connection_->ready_to_send()) {
                wants_room_ = true;
                return;
            }
            send(lane, lane.take());
        }
    }
}

bool AmqpEngine::may_send(const LaneQueue& lane, Steady::time_point now) const {
    return !blocked_ && lane.ready(now) && !waiting_routes_.contains(lane.front().out.route);
}

void AmqpEngine::send(LaneQueue& lane, Held held) {
    const Route& route = routes_.at(held.out.route);
    const MessageView view(*held.out.message);
    if (auto rendered = render(held, view); !rendered)
        return refuse(held, rendered.error(), Outcome::unmappable);
    if (auto problem = route_problem(held); !problem.empty()) return refuse(held, std::move(problem));
    MessageProperties properties(view, wall_now(), {origin_, held.out.sequence}, route.persistent,
                                 route.event ? &event_ : nullptr);
    if (route.mandatory) properties.add_tag(sent_.next_tag());
    if (sent_.empty()) last_progress_ = Steady::now();
    down_reason_ = connection_->publish(exchange_, routing_key_, route.mandatory, properties.get(),
                                        held.out.message->payload());
    if (!down_reason_.empty()) return lane.untake(std::move(held));
    sent_.add(std::move(held));
}

Result<void, std::string> AmqpEngine::render(const Held& held, const MessageView& view) {
    const Route& route = routes_.at(held.out.route);
    auto rendered = route.exchange.render(view, exchange_);
    if (rendered) rendered = route.routing_key.render(view, routing_key_, &append_routing_key);
    if (rendered && route.event) rendered = route.event->render(view, {origin_, held.out.sequence}, event_);
    return rendered;
}

std::string AmqpEngine::route_problem(const Held& held) const {
    const auto now = Steady::now();
    const auto is_bad = [&](const std::string& place) {
        const auto bad = bad_places_.find(place);
        return bad != bad_places_.end() && now < bad->second.until ? bad->second.reason : std::string();
    };
    // An exchange that is written out is waited for.
    if (!routes_.at(held.out.route).exchange.is_literal())
        if (auto reason = is_bad(exchange_); !reason.empty()) return reason;
    if (!bad_places_.empty())
        if (auto reason = is_bad(place_of(exchange_, routing_key_)); !reason.empty()) return reason;
    if (exchange_.size() > short_text_bytes_max)
        return fmt::format("the exchange's name has {} bytes, at most {} are possible", exchange_.size(),
                           short_text_bytes_max);
    if (routing_key_.size() > short_text_bytes_max)
        return fmt::format("the routing key has {} bytes, at most {} are possible", routing_key_.size(),
                           short_text_bytes_max);
    if (held.out.message->payload().size() > message_bytes_max_)
        return fmt::format("the message has {} bytes, the server takes at most {}",
                           held.out.message->payload().size(), message_bytes_max_);
    return {};
}

void AmqpEngine::refuse(const Held& held, std::string reason, Outcome outcome) {
    lanes_.of(held).finished(held);
    suspects_.finished(held.out);
    confirms_.push_back({held.out.lane, held.out.tag, outcome, std::move(reason)});
}

void AmqpEngine::read() {
    server_events_.clear();
    connection_->read(server_events_);
    for (const ServerEvent& event : server_events_) judge(event);
}

void AmqpEngine::judge(const ServerEvent& event) {
    using Kind = ServerEvent::Kind;
    switch (event.kind) {
        case Kind::ack:
        case Kind::nack:
            last_progress_ = Steady::now();
            sent_.settle(event.tag, event.multiple,
                         [&](Unconfirmed::Sent& sent) { settle(sent, event.kind == Kind::ack); });
            break;
        case Kind::returned:
            sent_.came_back(event.tag, event.text);
            break;
        case Kind::blocked:
            blocked_ = true;
            blocked_reason_ = event.text;
            log::warn(fmt::format("amqp: the server blocks publishing bridge={} reason=\"{}\"", bridge_name_,
                                  event.text));
            break;
        case Kind::unblocked:
            blocked_ = false;
            last_progress_ = Steady::now();
            log::info(fmt::format("amqp: the server takes messages again bridge={}", bridge_name_));
            break;
        case Kind::closed:
            learn(event);
            if (down_reason_.empty()) down_reason_ = event.text;
            break;
    }
}

void AmqpEngine::settle(Unconfirmed::Sent& sent, bool acked) {
    if (!acked) {
        nack_reason_ = "the server does not take a message now (basic.nack), perhaps a queue is full";
        suspects_.postponed(sent.held.out);
        lanes_.of(sent.held).put_back(std::move(sent.held), Steady::now());
        return;
    }
    nack_reason_.clear();
    backoff_.reset();
    if (!sent.returned.empty()) return refuse(sent.held, std::move(sent.returned));
    lanes_.of(sent.held).finished(sent.held);
    suspects_.finished(sent.held.out);
    confirms_.push_back({sent.held.out.lane, sent.held.out.tag, Outcome::delivered, {}});
}

void AmqpEngine::show_stall(Worker& worker) {
    if (blocked_) {
        worker.stalled(fmt::format("the server blocks publishing: {}", blocked_reason_));
    } else if (!nack_reason_.empty()) {
        worker.stalled(nack_reason_);
    } else if (!sent_.empty() && Steady::now() - last_progress_ > settings_.confirm_timeout) {
        worker.stalled(fmt::format("the server has confirmed nothing for {} s",
                                   settings_.confirm_timeout.count() / 1000));
    } else if (!waiting_routes_.empty()) {
        worker.stalled(waiting_routes_.begin()->second);
    } else {
        worker.stalled({});
    }
}

}  // namespace sluice::bridge::amqp
