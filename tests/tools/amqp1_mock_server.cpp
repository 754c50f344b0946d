#include "tests/tools/amqp1_mock_server.hpp"

#include <proton/delivery.h>
#include <proton/netaddr.h>
#include <proton/transport.h>

#include <array>

namespace amqp1_mock {

Server::Server() : proactor_(pn_proactor()), message_(pn_message()) {
    if (!options.certificate.empty()) {
        domain_ = pn_ssl_domain(PN_SSL_MODE_SERVER);
        pn_ssl_domain_set_credentials(domain_, options.certificate.c_str(), options.key.c_str(), nullptr);
        if (!options.client_ca.empty()) {
            pn_ssl_domain_set_trusted_ca_db(domain_, options.client_ca.c_str());
            pn_ssl_domain_set_peer_authentication(domain_, PN_SSL_VERIFY_PEER, options.client_ca.c_str());
        }
    }
    listen();
}

void Server::run() {
    while (!ended_) {
        pn_event_batch_t* batch = pn_proactor_wait(proactor_);
        while (pn_event_t* event = pn_event_batch_next(batch)) take(event);
        pn_proactor_done(proactor_, batch);
    }
}

void Server::add_command(std::string line) {
    {
        const std::lock_guard lock(mutex_);
        commands_.push_back(std::move(line));
    }
    pn_proactor_interrupt(proactor_);
}

void Server::take(pn_event_t* event) {
    pn_connection_t* connection = pn_event_connection(event);
    switch (pn_event_type(event)) {
        case PN_LISTENER_OPEN: {
            std::array<char, 64> host{}, port{};
            pn_netaddr_host_port(pn_listener_addr(pn_event_listener(event)), host.data(), host.size(),
                                 port.data(), port.size());
            answer(port_ == "0" ? port.data() : "ok");
            port_ = port.data();
            is_up_ = true;
            break;
        }
        case PN_LISTENER_CLOSE:
            if (pn_condition_t* why = pn_listener_condition(pn_event_listener(event));
                pn_condition_is_set(why) && !is_up_)
                answer(std::string("error: ") + pn_condition_get_description(why));
            break;
        case PN_LISTENER_ACCEPT:
            accept(pn_event_listener(event));
            break;
        case PN_PROACTOR_INACTIVE:
            if (is_up_) answer("ok");
            is_up_ = false;
            break;
        case PN_PROACTOR_INTERRUPT:
            run_commands();
            break;
        case PN_CONNECTION_REMOTE_OPEN:
            open(connection);
            break;
        case PN_CONNECTION_REMOTE_CLOSE:
            pn_connection_close(connection);
            break;
        case PN_SESSION_REMOTE_OPEN:
            pn_session_open(pn_event_session(event));
            break;
        case PN_SESSION_REMOTE_CLOSE:
            pn_session_close(pn_event_session(event));
            break;
        case PN_LINK_REMOTE_OPEN:
            open_link(pn_event_link(event));
            break;
        case PN_LINK_REMOTE_CLOSE:
            take_back(pn_event_link(event));
            pn_link_close(pn_event_link(event));
            break;
        case PN_LINK_FLOW:
        case PN_CONNECTION_WAKE:
            tend(connection);
            break;
        case PN_DELIVERY:
            take_delivery(pn_event_delivery(event));
            break;
        case PN_TRANSPORT_CLOSED:
            for (pn_link_t* at = pn_link_head(connection, 0); at; at = pn_link_next(at, 0)) take_back(at);
            connections_.erase(connection);
            break;
        default:
            break;
    }
}

void Server::accept(pn_listener_t* listener) {
    pn_transport_t* transport = pn_transport();
    pn_transport_set_server(transport);
    if (domain_) pn_ssl_init(pn_ssl(transport), domain_, nullptr);
    pn_sasl_t* sasl = pn_sasl(transport);
    pn_sasl_set_allow_insecure_mechs(sasl, true);
    if (!options.user.empty()) pnx_sasl_set_implementation(transport, &sasl::server, nullptr);
    pn_transport_require_auth(transport, !options.user.empty());
    pn_transport_set_idle_timeout(transport, 4000);
    pn_connection_t* connection = pn_connection();
    connections_.insert(connection);
    pn_listener_accept2(listener, connection, transport);
}

void Server::open(pn_connection_t* connection) {
    pn_connection_set_container(connection, "amqp1_mock");
    if (!options.product.empty()) {
        pn_data_t* properties = pn_connection_properties(connection);
        pn_data_put_map(properties);
        pn_data_enter(properties);
        pn_data_put_symbol(properties, to_pn("product"));
        pn_data_put_string(properties, to_pn(options.product));
        pn_data_exit(properties);
    }
    pn_connection_open(connection);
}

void Server::open_link(pn_link_t* link) {
    Node& node = node_of(link);
    if (!node.missing.empty() && node.missing_ends_session) {
        pn_session_t* session = pn_link_session(link);
        set_condition(pn_session_condition(session), node.missing, node.missing_text);
        return pn_session_close(session);
    }
    if (!node.missing.empty()) {  // attached without a terminus, then detached (2.6.3)
        pn_link_open(link);
        set_condition(pn_link_condition(link), node.missing, node.missing_text);
        pn_link_close(link);
        return;
    }
    pn_terminus_copy(pn_link_source(link), pn_link_remote_source(link));
    pn_terminus_copy(pn_link_target(link), pn_link_remote_target(link));
    if (node.limit != 0) pn_link_set_max_message_size(link, node.limit);
    pn_link_open(link);
    tend(pn_session_connection(pn_link_session(link)));
}

void Server::tend(pn_connection_t* connection) {
    constexpr pn_state_t active = PN_LOCAL_ACTIVE | PN_REMOTE_ACTIVE;
    for (pn_link_t* at = pn_link_head(connection, active); at; at = pn_link_next(at, active)) {
        Node& node = node_of(at);
        if (pn_link_is_receiver(at)) {
            if (const int more = node.credit - pn_link_credit(at); more > 0) pn_link_flow(at, more);
            continue;
        }
        while (pn_link_credit(at) > 0 && !node.waiting.empty()) {
            const auto tag = next_tag_++;
            pn_delivery_t* delivery =
                pn_delivery(at, pn_dtag(reinterpret_cast<const char*>(&tag), sizeof tag));
            sent_[delivery] = node.waiting.front();
            pn_link_send(at, node.waiting.front().data(), node.waiting.front().size());
            pn_link_advance(at);
            node.waiting.pop_front();
        }
    }
}

void Server::take_back(pn_link_t* link) {
    if (!pn_link_is_sender(link)) return;
    std::vector<std::string> back;
    for (pn_delivery_t* at = pn_unsettled_head(link); at; at = pn_unsettled_next(at))
        if (const auto found = sent_.find(at); found != sent_.end()) {
            back.push_back(std::move(found->second));
            sent_.erase(found);
        }
    auto& waiting = node_of(link).waiting;
    waiting.insert(waiting.begin(), back.begin(), back.end());
}

void Server::take_delivery(pn_delivery_t* delivery) {
    if (pn_link_is_sender(pn_delivery_link(delivery))) return take_outcome(delivery);
    pn_link_t* link = pn_delivery_link(delivery);
    if (!(pn_link_state(link) & PN_LOCAL_ACTIVE)) return;  // detached: what still comes is void (2.6.6)
    if (!pn_delivery_readable(delivery) || pn_delivery_partial(delivery)) return;
    std::string bytes(pn_delivery_pending(delivery), '\0');
    pn_link_recv(link, bytes.data(), bytes.size());
    pn_link_advance(link);
    Node& node = node_of(link);
    if (node.size_error != 0 && bytes.size() > node.size_error) {
        set_condition(pn_link_condition(link), "amqp:link:message-size-exceeded", "the message is too large");
        return pn_link_close(link);
    }
    pn_message_clear(message_);
    if (pn_message_decode(message_, bytes.data(), bytes.size()) != 0) std::cerr << "bad message\n";
    judge(node, delivery);
    tend(pn_session_connection(pn_link_session(link)));
}

void Server::judge(Node& node, pn_delivery_t* delivery) {
    const char* subject = pn_message_get_subject(message_);
    Rule rule{"accept", 1, {}, {}};
    if (subject && node.rejected_subjects.contains(subject)) {
        rule = {"reject", 1, "amqp:precondition-failed", "no such subject here"};
    } else if (node.rule.count > 0) {
        rule = node.rule;
        --node.rule.count;
    }
    if (rule.outcome == "ignore") return;
    if (rule.outcome == "accept") node.arrived.push_back(describe(message_));
    pn_disposition_t* said = pn_delivery_local(delivery);
    if (rule.outcome == "undeliverable") pn_disposition_set_undeliverable(said, true);
    if (rule.outcome == "reject" && !rule.condition.empty())
        set_condition(pn_disposition_condition(said), rule.condition, rule.text);
    static const std::map<std::string, std::uint64_t> states{{"accept", PN_ACCEPTED},
                                                             {"reject", PN_REJECTED},
                                                             {"release", PN_RELEASED},
                                                             {"modify", PN_MODIFIED},
                                                             {"undeliverable", PN_MODIFIED}};
    pn_delivery_update(delivery, states.at(rule.outcome));
    pn_delivery_settle(delivery);
}

void Server::take_outcome(pn_delivery_t* delivery) {
    const auto found = sent_.find(delivery);
    if (found == sent_.end() || !pn_delivery_updated(delivery) || pn_delivery_remote_state(delivery) == 0)
        return;
    pn_condition_t* condition = pn_disposition_condition(pn_delivery_remote(delivery));
    const char* text = pn_condition_get_description(condition);
    node_of(pn_delivery_link(delivery))
        .outcomes.push_back({{"outcome", pn_disposition_type_name(pn_delivery_remote_state(delivery))},
                             {"text", text ? text : ""}});
    sent_.erase(found);
    pn_delivery_settle(delivery);
}

}  // namespace amqp1_mock
