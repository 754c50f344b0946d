#pragma once
/// A private RabbitMQ node as a Peer, and a plain client of it.
#include <amqp.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/contract/peer.hpp"
#include "tests/support/child_process.hpp"

namespace sluice::bridge::test {

class AmqpClient {
  public:
    explicit AmqpClient(int port);
    ~AmqpClient();
    AmqpClient(const AmqpClient&) = delete;
    AmqpClient& operator=(const AmqpClient&) = delete;

    /// Durable.
    void make_queue(const std::string& name, const std::string& exchange, const std::string& key,
                    const amqp_table_t& arguments = amqp_empty_table);
    void delete_queue(const std::string& name);
    void make_exchange(const std::string& name);
    void delete_exchange(const std::string& name);
    /// To the default exchange unless told; returns when the node has it.
    void publish(const std::string& key, const std::string& payload,
                 const amqp_basic_properties_t& properties = {}, const std::string& exchange = "");
    /// How many messages wait in the queue and are with no consumer; -1 when there is no such queue, and
    /// this client is of no use any more.
    int depth(const std::string& queue);
    /// Takes one message off the queue; false when it is empty.
    bool get(const std::string& queue, Received& received);

  private:
    amqp_connection_state_t state_;
};

class AmqpPeer final : public Peer {
  public:
    /// What the node said when it was ready.
    struct Doors {
        int plain = 0;
        int tls = 0;  ///< takes certificates(), and logins by EXTERNAL
        FrailWay frail;
    };
    AmqpPeer(std::unique_ptr<sluice::test::ChildProcess> process, Doors doors, std::string folder);
    ~AmqpPeer() override;

    std::string address() const override { return "127.0.0.1:" + std::to_string(doors_.plain); }
    void configure(SettingsUnderTest& settings) override;
    void configure_place(SettingsUnderTest& settings, const std::string& place) override;
    void configure_refusal(SettingsUnderTest& settings, const std::string& place) override;
    std::vector<Received> receive(const std::string& place, std::size_t count) override;
    /// A node that is killed soon after a queue was made, also a durable one, may have forgotten the queue.
    void settle() override { ask("ctl eval 'mnesia:sync_log().'"); }
    void down() override { ask("kill9"); }
    void up() override { ask("start"); }
    void freeze() override { ask("freeze"); }
    void thaw() override { ask("thaw"); }
    FrailWay frail_way() const override { return doors_.frail; }
    std::string ask(const std::string& command) override;
    int port() const { return doors_.plain; }
    int tls_port() const { return doors_.tls; }

  private:
    std::unique_ptr<sluice::test::ChildProcess> process_;
    const Doors doors_;
    const std::string folder_;
    std::map<std::string, std::vector<Received>> received_;  ///< by place: what is taken off is gone there
};

}  // namespace sluice::bridge::test
