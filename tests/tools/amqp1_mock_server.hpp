#pragma once
/// The server of amqp1_mock: what it knows of addresses, and what it does on each event of Proton.
#include <proton/connection.h>
#include <proton/link.h>
#include <proton/listener.h>
#include <proton/message.h>
#include <proton/proactor.h>
#include <proton/session.h>
#include <proton/ssl.h>
#include <proton/terminus.h>

#include <cstdint>
#include <deque>
#include <iostream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tools/amqp1_mock_message.hpp"
#include "tests/tools/amqp1_mock_sasl.hpp"

namespace amqp1_mock {

struct Rule {
    std::string outcome;
    int count = 0;
    std::string condition, text;
};

/// What is known of an address.
struct Node {
    std::vector<Json> arrived;
    int credit = 200;
    std::uint64_t limit = 0;       ///< announced
    std::uint64_t size_error = 0;  ///< not announced: a larger one costs the link
    std::string missing, missing_text;
    bool missing_ends_session = false;  ///< as RabbitMQ 4 does it, instead of the link
    Rule rule;
    std::set<std::string> rejected_subjects;
    std::deque<std::string> waiting;  ///< to be fetched
    Json outcomes = Json::array();    ///< of what was fetched
};

inline void set_condition(pn_condition_t* condition, const std::string& name, const std::string& text) {
    pn_condition_set_name(condition, name.c_str());
    pn_condition_set_description(condition, text.c_str());
}

/// One thread runs it; commands come from another one by add_command().
class Server {
  public:
    Server();
    void run();
    void add_command(std::string line);

  private:
    void listen() { pn_proactor_listen(proactor_, pn_listener(), (options.host + ":" + port_).c_str(), 100); }
    static void answer(const std::string& line) { std::cout << line << std::endl; }
    void take(pn_event_t* event);
    void accept(pn_listener_t* listener);
    static void open(pn_connection_t* connection);
    static std::string address_of(pn_link_t* link) {
        const char* address = pn_terminus_get_address(pn_link_is_sender(link) ? pn_link_remote_source(link)
                                                                              : pn_link_remote_target(link));
        return address ? address : "";
    }
    Node& node_of(pn_link_t* link) { return nodes_[address_of(link)]; }
    void open_link(pn_link_t* link);
    /// Credit to those who send, messages to those who receive.
    void tend(pn_connection_t* connection);
    /// What was sent and has no outcome waits again, in its order.
    void take_back(pn_link_t* link);
    void take_delivery(pn_delivery_t* delivery);
    void judge(Node& node, pn_delivery_t* delivery);
    void take_outcome(pn_delivery_t* delivery);
    void run_commands();
    /// Empty when the answer comes later.
    std::string run_command(const std::string& name, std::istringstream& words);
    std::string withhold(const std::string& address, bool detach, std::istringstream& words);
    std::string close_all(bool sessions, std::istringstream& words);
    template <class F>
    void for_links(F&& f) {
        constexpr pn_state_t active = PN_LOCAL_ACTIVE | PN_REMOTE_ACTIVE;
        for (pn_connection_t* connection : connections_)
            for (pn_link_t *at = pn_link_head(connection, active), *next = nullptr; at; at = next) {
                next = pn_link_next(at, active);
                f(at);
            }
    }
    int count_links();

    pn_proactor_t* proactor_;
    pn_message_t* message_;
    pn_ssl_domain_t* domain_ = nullptr;
    std::string port_ = "0";
    bool is_up_ = false;
    bool ended_ = false;
    std::map<std::string, Node> nodes_;
    std::map<pn_delivery_t*, std::string> sent_;
    std::set<pn_connection_t*> connections_;
    std::uint64_t next_tag_ = 0;
    std::mutex mutex_;
    std::deque<std::string> commands_;
};

}  // namespace amqp1_mock
