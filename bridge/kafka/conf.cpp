#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "bridge/kafka/consumer.hpp"
#include "bridge/kafka/producer.hpp"
#include "bridge/kafka/security.hpp"
#include "bridge/server_address.hpp"

namespace sluice::bridge::kafka {
namespace {

/// What `options` may not touch: the spool above relies on it, or a key of ours sets it.
constexpr std::string_view reserved[] = {"bootstrap.servers",
                                         "metadata.broker.list",
                                         "client.id",
                                         "enable.idempotence",
                                         "acks",
                                         "request.required.acks",
                                         "message.timeout.ms",
                                         "delivery.timeout.ms",
                                         "retries",
                                         "message.send.max.retries",
                                         "max.in.flight",
                                         "max.in.flight.requests.per.connection",
                                         "partitioner",
                                         "transactional.id",
                                         "transaction.timeout.ms",
                                         "queue.buffering.max.messages",
                                         "queue.buffering.max.kbytes",
                                         "message.max.bytes",
                                         "linger.ms",
                                         "queue.buffering.max.ms",
                                         "compression.codec",
                                         "compression.type",
                                         "log.queue",
                                         "enable.gapless.guarantee",
                                         "group.id",
                                         "enable.auto.commit",
                                         "auto.commit.enable",
                                         "enable.auto.offset.store",
                                         "auto.offset.reset",
                                         "isolation.level",
                                         "enable.partition.eof",
                                         "check.crcs",
                                         "plugin.library.paths"};

std::string set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
    std::array<char, 512> text{};
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) == RD_KAFKA_CONF_OK)
        return {};
    return text.data();
}

/// librdkafka's complaint may repeat the value, which may be a secret.
bool may_be_secret(std::string_view name) {
    return name.find("password") != std::string_view::npos || name.find("key") != std::string_view::npos ||
           name.find("secret") != std::string_view::npos || name.find("oauth") != std::string_view::npos ||
           name.find("jaas") != std::string_view::npos;
}

std::string add_option(rd_kafka_conf_t* conf, const std::string& option, const Security& security) {
    const auto equals = option.find('=');
    if (equals == std::string::npos || equals == 0)
        return "options: an entry has no '='; expected \"name=value\"";
    const std::string name = option.substr(0, equals);
    if (std::find(std::begin(reserved), std::end(reserved), name) != std::end(reserved))
        return fmt::format("options: '{}' is set by the bridge itself; expected another name", name);
    if (security.any_key_set && is_about_security(name))
        return fmt::format(
            "options: '{}' does not go together with keys such as `tls`, `sasl` or `preset`; "
            "expected those alone",
            name);
    const std::string error = set(conf, name, option.substr(equals + 1));
    if (error.empty()) return {};
    if (may_be_secret(name))
        return fmt::format("options: librdkafka does not take this value for '{}'; expected one of its kind",
                           name);
    return fmt::format("options: {}; expected a name and value of librdkafka's configuration", error);
}

using Rows = std::vector<std::pair<const char*, std::string>>;

// Each of the following rows differs from librdkafka's default for a reason.

Rows common_rows(const KafkaSettings& settings) {
    return {
        {"client.id", settings.client_id},
        {"message.max.bytes", std::to_string(settings.message_bytes_max)},
        {"socket.keepalive.enable", "true"},
        {"socket.timeout.ms",
         std::to_string(std::clamp<long>(settings.confirm_timeout.count(), 1000, 300'000))},
        {"reconnect.backoff.ms", "100"},
        {"reconnect.backoff.max.ms", "2000"},  // longer outages are waited for outside, without a client
        {"topic.metadata.refresh.interval.ms", "60000"},
        {"topic.metadata.propagation.max.ms", "5000"},
        {"log.queue", "true"},
    };
}

Rows producer_rows(const KafkaSettings& settings, std::uint32_t inflight_max) {
    static constexpr std::string_view codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    return {
        {"enable.idempotence", "true"},     // order and no duplicates within one life of the producer
        {"partitioner", "murmur2_random"},  // where Java clients put the same key
        {"message.timeout.ms", "0"},        // the spool decides how long a message lives, not this queue
        {"queue.buffering.max.messages", std::to_string(std::max(inflight_max, 1U))},
        // Payloads stay the spool's window's: this is a count against that window, not memory of its own.
        {"queue.buffering.max.kbytes", "2097151"},
        {"batch.size", "65536"},  // a batch of 1 MB would not pass a narrow uplink before it times out
        {"linger.ms", std::to_string(settings.linger.count())},
        {"compression.codec", std::string(codecs[static_cast<unsigned>(settings.compression)])},
    };
}

Rows consumer_rows(const std::string& group) {
    return {
        {"group.id", group},
        {"enable.auto.commit", "false"},  // an offset is committed when what stands before it is safe here
        {"enable.auto.offset.store", "false"},
        {"isolation.level", "read_committed"},
        // Where to begin is our own decision; this is for an offset that the cluster does not have any more.
        {"auto.offset.reset", "earliest"},
        {"check.crcs", "true"},
        // What waits in librdkafka until we have room; its own bounds are 64 MiB and 100,000 messages.
        {"queued.max.messages.kbytes", "4096"},
        {"queued.min.messages", "1000"},
        {"fetch.max.bytes", "2097152"},
        {"fetch.message.max.bytes", "524288"},
        {"fetch.error.backoff.ms", "200"},
        // A gateway that was killed must not wait 45 s until its own group lets it in again.
        {"session.timeout.ms", "10000"},
    };
}

std::string set_rows(rd_kafka_conf_t* conf, const Rows& rows) {
    for (const auto& [name, value] : rows)
        if (auto error = set(conf, name, value); !error.empty()) return error;
    return {};
}

/// The values may be secrets: an error has the name only.
std::string set_all(rd_kafka_conf_t* conf, const std::vector<std::pair<std::string, std::string>>& settings) {
    for (const auto& [name, value] : settings)
        if (!set(conf, name, value).empty())
            return fmt::format(
                "tls, sasl: this librdkafka does not take '{}'; expected one built with TLS and "
                "SASL",
                name);
    return {};
}

}  // namespace

namespace {

/// All but the events that the client wants to be told.
Result<ConfPtr, std::string> make_client_conf(const KafkaSettings& settings, const Security& security,
                                              const Rows& rows) {
    ConfPtr conf(rd_kafka_conf_new());
    if (settings.servers.empty())
        return Err{std::string("servers: the list is empty; expected at least one \"host:port\"")};
    std::vector<std::string> servers;
    for (const auto& text : settings.servers) {
        auto address = parse_server_address(text, security.default_port);
        if (!address) return Err{fmt::format("servers: {}", address.error())};
        servers.push_back(to_text(*address));
    }
    for (const auto& fixed : {common_rows(settings), rows})
        if (auto error = set_rows(conf.get(), fixed); !error.empty()) return Err{std::move(error)};
    const std::string list = fmt::format("{}", fmt::join(servers, ","));
    if (auto error = set(conf.get(), "bootstrap.servers", list); !error.empty())
        return Err{fmt::format("servers: {}", error)};
    if (auto error = set_all(conf.get(), security.defaults); !error.empty()) return Err{std::move(error)};
    for (const auto& option : settings.options)
        if (auto error = add_option(conf.get(), option, security); !error.empty())
            return Err{std::move(error)};
    if (auto error = set_all(conf.get(), security.settings); !error.empty()) return Err{std::move(error)};
    CertificateProblem::listen(conf.get());
    return conf;
}

}  // namespace

Result<ConfPtr, std::string> make_conf(const KafkaSettings& settings, std::uint32_t inflight_messages_max) {
    const auto security = resolve_security(settings);
    if (!security) return Err{security.error()};
    auto conf = make_client_conf(settings, *security, producer_rows(settings, inflight_messages_max));
    if (!conf) return conf;
    int events = RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG;
    if (security->sasl == Sasl::oauthbearer) events |= RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;
    rd_kafka_conf_set_events(conf->get(), events);
    return conf;
}

Result<ConfPtr, std::string> make_consumer_conf(const KafkaSettings& settings, const std::string& group) {
    const auto security = resolve_security(settings);
    if (!security) return Err{security.error()};
    return make_client_conf(settings, *security, consumer_rows(group));
}

}  // namespace sluice::bridge::kafka
