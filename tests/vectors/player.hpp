#pragma once
/// Player: holds one conversation with a broker.
#include <map>
#include <memory>
#include <string>

#include "broker_under_test.hpp"
#include "conversation.hpp"
#include "peer.hpp"

namespace sluice::test {

class Player {
  public:
    Player(BrokerUnderTest& broker, Cuts cuts) : broker_(broker), cuts_(std::move(cuts)) {}
    /// Throws Mismatch, which names the step, at the first answer that is not as expected.
    void play(const Conversation& conversation);

  private:
    void step(const std::string& connection, const std::string& verb, const Json& argument);
    Peer& peer(const std::string& connection);
    ByteBuffer bytes_of(Peer& to, const Json& what);
    void send(Peer& to, const Json& what);
    void expect(Peer& from, const Json& what);
    void expect_any_order(Peer& from, const Json& packets);
    void expect_closed(Peer& from, const Json& code);
    void expect_closed_in_time(Peer& from, const Json& when);
    void hello(Peer& with, Json connect);
    void subscribe(Peer& with, const Json& filters);
    /// Throws unless `actual` is what `wanted` asks for.
    void match(const Json& wanted, const Json& actual, const std::string& where);
    void match_packet(const Json& wanted, const Json& actual);
    void match_properties(const Json& wanted, const Json& actual);
    /// Names ("@id") replaced by what they stand for.
    Json resolve(const Json& value) const;

    BrokerUnderTest& broker_;
    Cuts cuts_;
    int level_ = 5;
    std::map<std::string, std::unique_ptr<Peer>> peers_;
    std::map<std::string, Json> names_;
};

}  // namespace sluice::test
