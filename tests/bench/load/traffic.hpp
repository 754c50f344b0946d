#pragma once
/// Messages through a broker, checked: none lost, none twice, each publisher's in order; with their
/// latencies.
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client.hpp"
#include "histogram.hpp"

namespace bench {

struct TrafficPlan {
    std::uint16_t port = 0;
    bool tls = false;
    std::string topology = "pairs";  ///< pairs, fan-in (all to one), fan-out (one to all), publish (to nobody
                                     ///< here: an acknowledgement counts as the delivery)
    std::uint32_t publishers = 1;
    std::uint32_t subscribers = 1;
    std::uint8_t qos = 0;
    std::size_t payload_bytes = 64;
    bool durable = false;          ///< the subscribers' sessions are persistent
    std::uint64_t deliveries = 0;  ///< to be measured, over all subscribers
    std::uint32_t window = 20;     ///< closed loop: messages under way per publisher
    std::uint32_t rate = 0;        ///< open loop: messages per second over all publishers; 0: closed loop
    bool until_told = false;       ///< open loop: until there is a line on standard input, which it takes
    bool keeps_samples = false;    ///< open loop: TrafficResult::samples
    std::string prefix = "bench";  ///< of topics and client ids
};

/// One message: with these times what happened beside it can be told apart afterwards.
struct Sample {
    std::uint64_t due_ns;  ///< of the monotonic clock
    std::uint64_t latency_ns;
};

struct TrafficResult {
    std::uint64_t deliveries = 0;
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t misordered = 0;
    double seconds = 0;
    Histogram latency;  ///< from when a message was due to its arrival; "publish": to its acknowledgement
    std::vector<Sample> samples;
};

/// Which sequence numbers of one publisher a subscriber has seen.
class SequenceCheck {
  public:
    void on(std::uint32_t sequence, TrafficResult& result);
    void finish(std::uint32_t last_sent, TrafficResult& result) const;

  private:
    std::uint32_t last_ = 0;
    std::uint64_t recent_ = ~std::uint64_t{0};  // bit n: last_ - n was seen
    std::uint64_t missing_ = 0;
};

class Traffic final : public Handler {
  public:
    /// Connects and subscribes all. Throws std::runtime_error when the broker does not answer.
    explicit Traffic(TrafficPlan plan);

    /// `deliveries` of them, from the first publish to the last packet that belongs to it. May be called
    /// again.
    TrafficResult run(std::uint64_t deliveries);

    void on_packet(Client& client, const Packet& packet) override;

  private:
    struct Publisher {
        std::unique_ptr<Client> client;
        std::unique_ptr<PublishTemplate> message;
        std::uint32_t sent = 0;
        std::uint64_t delivered = 0;  // over all its subscribers
        std::uint32_t unacknowledged = 0;
        std::uint16_t next_id = 1;
        std::deque<std::uint64_t> due_ns;  // "publish": of those not acknowledged
    };
    struct Subscriber {
        std::unique_ptr<Client> client;
        std::vector<SequenceCheck> checks;  // by publisher
    };

    void connect_all();
    std::unique_ptr<Client> connect(std::string client_id, bool clean, std::uint32_t index);
    void wait_until(const char* what, auto&& done);
    std::string topic_of(std::uint32_t publisher) const;
    std::uint32_t receivers_of_each() const { return plan_.topology == "fan-out" ? plan_.subscribers : 1; }

    void publish_one(Publisher& publisher, std::uint64_t at_ns);
    void fill_window(Publisher& publisher);
    void run_closed(std::uint64_t messages);
    void run_open(std::uint64_t messages);
    void note_latency(std::uint64_t due_ns);
    bool settled() const;

    void on_publish(Client& client, const Packet& packet);
    void on_stored(Publisher& publisher);
    void on_publisher_packet(Publisher& publisher, const Packet& packet);

    TrafficPlan plan_;
    TlsContext tls_;
    Loop loop_;
    std::vector<Publisher> publishers_;
    std::vector<Subscriber> subscribers_;
    TrafficResult result_;
    std::uint64_t to_send_ = 0;  // closed loop: still to be sent over all publishers
    std::uint32_t answers_ = 0;  // CONNACKs and SUBACKs
    std::uint32_t pongs_ = 0;
};

}  // namespace bench
