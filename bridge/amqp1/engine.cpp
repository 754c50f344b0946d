#include "bridge/amqp1/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/log.hpp"

namespace sluice::bridge::amqp1 {
namespace {

using std::chrono::milliseconds;

/// What Proton may hold of encoded messages; more would only be memory.
constexpr std::size_t unsent_bytes_max = 512UL * 1024;
constexpr milliseconds look_every{1000};  ///< for idle links and stalls, which no event tells

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

}  // namespace

Amqp1Engine::Amqp1Engine(ConnectorSpec spec, Amqp1Settings settings, std::vector<ServerAddress> servers,
                         std::vector<Route> routes, std::vector<Amqp1Down> down_routes)
    : bridge_name_(spec.bridge_name),
      container_(fmt::format("sluice-{}{}{}", spec.origin, spec.origin.empty() ? "" : "-", spec.bridge_name)),
      settings_(std::move(settings)),
      servers_(std::move(servers)),
      backoff_(backoff_seed(bridge_name_)),
      senders_(std::move(routes), spec.origin, backoff_seed(bridge_name_)),
      receivers_(bridge_name_, std::move(down_routes), spec.down_inflight_max, backoff_seed(bridge_name_)) {}

void Amqp1Engine::run(Worker& worker) {
    while (!worker.stopping()) {
        if (connect(worker)) serve(worker);
        if (worker.stopping()) {
            if (connection_ && connection_->why().empty()) drain(worker);
            break;
        }
        senders_.reset();  // void now: an outage of hours must not hold their memory
        receivers_.reset();
        connection_.reset();
        worker.down(down_reason_);
        if (receivers_.any()) worker.source(down_reason_);
        if (!worker.pause(backoff_.next())) break;
    }
    senders_.reset();
    receivers_.reset();
    connection_.reset();
}

bool Amqp1Engine::connect(Worker& worker) {
    const ServerAddress& server = servers_[next_server_++ % servers_.size()];
    warn_of_clear_text(server);
    auto opened = Connection::open(settings_, server, container_, worker);
    if (!opened) {
        down_reason_ = opened.error();
        return false;
    }
    connection_ = std::move(opened).value();
    senders_.start(connection_->session(), connection_->product());
    receivers_.start(connection_->session());
    source_told_ = false;
    return true;
}

void Amqp1Engine::serve(Worker& worker) {
    worker.up();
    while (!worker.stopping() && connection_->why().empty()) {
        step(worker);
        worker.stalled(senders_.stall(settings_.confirm_timeout));
        show_source(worker);
        connection_->wait(worker, wait_time());
    }
    down_reason_ = connection_->why();
}

void Amqp1Engine::step(Worker& worker) {
    connection_->exchange(*this);
    if (!connection_->why().empty())
        return worker.confirm(senders_.confirms());  // what it said before it went
    if (receivers_.any()) {
        receivers_.settle(worker.take_settled());
        receivers_.tend();
        worker.incoming(std::exchange(receivers_.incoming(), {}));
    }
    senders_.push(worker.take());
    senders_.sweep();
    send();
    if (senders_.take_progress()) backoff_.reset();
    worker.confirm(senders_.confirms());
}

/// At the end of life: waits for the outcomes of what was sent.
void Amqp1Engine::drain(Worker& worker) {
    while (senders_.unsettled() > 0 && Steady::now() < worker.stop_deadline()) {
        if (!connection_->exchange(*this)) break;
        worker.confirm(senders_.confirms());
        connection_->wait(worker, milliseconds(20));
    }
    receivers_.settle(worker.take_settled());
    worker.confirm(senders_.confirms());
    if (connection_->why().empty()) connection_->close(worker, senders_.unsettled() == 0);
}

void Amqp1Engine::send() {
    bool more = true;
    while (more) {
        const bool wants_room = senders_.pump(unsent_bytes_max);
        more = connection_->flush() && wants_room;
    }
}

milliseconds Amqp1Engine::wait_time() const {
    const auto at = std::min(senders_.wake_at(), receivers_.wake_at());
    if (at == Steady::time_point::max()) return look_every;
    return std::clamp(std::chrono::ceil<milliseconds>(at - Steady::now()), milliseconds(0), look_every);
}

void Amqp1Engine::show_source(Worker& worker) {
    if (!receivers_.any() || !receivers_.settled_down()) return;
    std::string problem = receivers_.problem();
    if (source_told_ && problem == source_problem_) return;
    source_told_ = true;
    source_problem_ = std::move(problem);
    worker.source(source_problem_);
}

void Amqp1Engine::warn_of_clear_text(const ServerAddress& server) {
    if (warned_ || settings_.tls.enabled() || settings_.user.empty() || is_loopback(server.host)) return;
    warned_ = true;
    log::warn(fmt::format("amqp1: the password goes to {} in clear text; expected tls = true bridge={}",
                          to_text(server), bridge_name_));
}

void Amqp1Engine::on_link_opened(pn_link_t* link) {
    if (pn_link_is_sender(link)) {
        senders_.on_link_opened(link);
    } else {
        receivers_.on_link_opened(link);
    }
}

void Amqp1Engine::on_link_closed(pn_link_t* link) {
    if (pn_link_is_sender(link)) {
        senders_.on_link_closed(link);
    } else {
        receivers_.on_link_closed(link);
    }
}

/// RabbitMQ 4 does it to refuse a link: the one that stays unanswered, since links are answered in their
/// order. Those of routes whose address is written out are opened before the receivers', others after.
void Amqp1Engine::on_session_ended(pn_condition_t* condition) {
    if (!senders_.blame(condition, receivers_.opening())) return;
    backoff_.reset();  // the server is well, and other routes wait for it
}

void Amqp1Engine::on_delivery(pn_delivery_t* delivery) {
    if (pn_link_is_sender(pn_delivery_link(delivery))) {
        senders_.on_delivery(delivery);
    } else {
        receivers_.on_delivery(delivery);
    }
}

}  // namespace sluice::bridge::amqp1
