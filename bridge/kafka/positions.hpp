#pragma once
/// Positions: how far each lane has got, as the cluster remembers it. The position of a lane is the offset of
/// a consumer group of its own, without members, on partition 0 of one topic; it is committed in the same
/// transaction as the records.
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "bridge/kafka/producer.hpp"
#include "bridge/kafka/token.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::kafka {

/// All of a lane up to `sequence` is in committed transactions, except what was refused.
struct Position {
    std::uint64_t sequence = 0;
    /// Whose numbers these are, as ConnectorSpec::store_id; empty: of a time before stores had ids.
    std::string store;
    /// When the broker took in the newest of them, in milliseconds since 1970. Messages of a lane are taken
    /// in by the order of their numbers: one that came later has a number below only if the broker's store
    /// was lost and numbers began anew, or is an older copy of itself. A clock that is behind hides that.
    std::int64_t received_ms = 0;
    /// Not in Kafka although below: offered again (we ended before the dead letter was on disk) they are
    /// judged again instead of taken for delivered. The newest of them.
    std::set<std::uint64_t> refused;

    static constexpr std::size_t refused_max = 150;  // a cluster takes 4096 bytes of metadata
    /// Whether it need not be sent any more.
    bool covers(const Outgoing& message) const {
        return message.sequence <= sequence && !refused.contains(message.sequence);
    }
    /// Nothing that it says is about the messages of that store.
    bool is_of_another_store(std::string_view store_id) const {
        return !store.empty() && !store_id.empty() && store != store_id;
    }
    /// Numbers have begun anew: this one is another message than the one of its number that was sent.
    bool is_of_another_store(const Outgoing& message) const {
        return message.sequence <= sequence && received_ms_of(message) > received_ms;
    }
    void begin_anew(const Outgoing& message) {
        sequence = message.sequence - 1;
        refused.clear();
    }
    void note_refused(const Outgoing& message);
    void note_delivered(const Outgoing& message);
    /// Takes over what another one knows of refusals.
    void add_refused(const Position& other);
    static std::int64_t received_ms_of(const Outgoing& message) {
        return message.message->received().time_since_epoch().count();
    }
    /// As text beside the offset: "store=9f86d081884c7d65 received=1700000000000 refused=17,23".
    std::string metadata() const;
    static Position parse(std::int64_t offset, std::string_view metadata);
    bool operator==(const Position&) const = default;
};

/// "sluice-ORIGIN/BRIDGE", and with "/ROUTE/SHARD" the group of a lane. What has other characters than
/// letters, digits, '.', '_' and '-' is escaped by '%' and two hexadecimal digits, so that no two are alike.
std::string transactional_id_of(std::string_view origin, std::string_view bridge);
std::string group_of(std::string_view transactional_id, std::string_view lane);

/// How long a question may take, and when nobody wants the answer any more.
struct Patience {
    Steady::time_point deadline;
    std::function<bool()> stop;
    bool over() const { return stop() || Steady::now() >= deadline; }
};

/// Makes the topic when it is missing and the cluster lets us. Empty when it is there.
std::string ensure_position_topic(Producer& producer, const std::string& topic, const Patience& patience);

/// The position of a group. Waits until no transaction that would change it is open. `conf` is that of the
/// bridge; `token`: where SASL is OAUTHBEARER.
Result<Position, std::string> read_position(const rd_kafka_conf_t* conf, const std::optional<Token>& token,
                                            const std::string& topic, const std::string& group,
                                            const Patience& patience);

}  // namespace sluice::bridge::kafka
