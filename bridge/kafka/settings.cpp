#include "bridge/kafka/settings.hpp"

namespace sluice::bridge::kafka {
namespace {

constexpr std::string_view compressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};

constexpr std::string_view topic_illegal_names[] = {"refuse", "replace"};
constexpr std::string_view sasl_names[] = {"none", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"};
constexpr std::string_view delivery_names[] = {"at_least_once", "exactly_once"};
constexpr std::string_view timestamp_names[] = {"received", "sent"};
constexpr std::string_view start_names[] = {"latest", "earliest"};
constexpr std::string_view preset_names[] = {"event_hubs", "confluent_cloud", "msk_scram", "msk_tls"};

constexpr SettingRow own_table[] = {
    {.key = "servers",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc = "Bootstrap servers of the cluster, each \"host:port\"; without a port 9092, or the preset's.",
     .assign = bind_setting<&KafkaSettings::servers>,
     .required = true},
    {.key = "client_id",
     .kind = SettingKind::text,
     .default_text = "sluice",
     .doc = "The name under which the cluster's logs and quotas know this bridge.",
     .assign = bind_setting<&KafkaSettings::client_id>},
    {.key = "compression",
     .kind = SettingKind::choice,
     .default_text = "none",
     .doc = "Compression of batches; worth its CPU on a narrow uplink.",
     .assign = bind_setting<&KafkaSettings::compression>,
     .choices = compressions},
    {.key = "linger",
     .kind = SettingKind::duration,
     .default_text = "5ms",
     .doc = "How long a message waits for others to share a batch with it.",
     .assign = bind_setting<&KafkaSettings::linger>,
     .minimum = 0,
     .maximum = 10'000},
    {.key = "message_bytes_max",
     .kind = SettingKind::size,
     .default_text = "1000000",
     .doc = "A larger message is refused here; set it as the cluster's message.max.bytes.",
     .assign = bind_setting<&KafkaSettings::message_bytes_max>,
     .minimum = 1000,
     .maximum = 1'000'000'000},
    {.key = "connect_timeout",
     .kind = SettingKind::duration,
     .default_text = "10s",
     .doc = "An attempt to reach the cluster fails after this time; the next one follows after 0.5 to 30 s.",
     .assign = bind_setting<&KafkaSettings::connect_timeout>,
     .minimum = 1000,
     .maximum = 300'000},
    {.key = "confirm_timeout",
     .kind = SettingKind::duration,
     .default_text = "30s",
     .doc = "When the cluster has confirmed nothing for this time the bridge asks whether it is still there.",
     .assign = bind_setting<&KafkaSettings::confirm_timeout>,
     .minimum = 1000,
     .maximum = 3'600'000},
    {.key = "options",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc = "Further settings of librdkafka, each \"name=value\", such as \"socket.nagle.disable=true\". "
            "Those on which delivery and order rest cannot be changed.",
     .assign = bind_setting<&KafkaSettings::options>},
    {.key = "delivery",
     .kind = SettingKind::choice,
     .default_text = "at_least_once",
     .doc =
         "\"exactly_once\": messages go up in transactions, together with how far the spool has got, so that "
         "consumers with isolation.level read_committed see each message once whatever fails.",
     .assign = bind_setting<&KafkaSettings::delivery>,
     .choices = delivery_names},
    {.key = "position_topic",
     .kind = SettingKind::text,
     .default_text = "",
     .doc =
         "With \"exactly_once\", and required then: a topic under whose name the cluster keeps the spool's "
         "positions, as the offsets of consumer groups. Nothing is written into it. It is made when it is "
         "missing and the cluster lets us; bridges may share one.",
     .assign = bind_setting<&KafkaSettings::position_topic>},
    {.key = "transaction_time",
     .kind = SettingKind::duration,
     .default_text = "100ms",
     .doc =
         "The longest time that a transaction takes messages in before it is committed. It is committed at "
         "once when all that came is written and nothing more waits.",
     .assign = bind_setting<&KafkaSettings::transaction_time>,
     .minimum = 0,
     .maximum = 10'000},
    {.key = "transaction_timeout",
     .kind = SettingKind::duration,
     .default_text = "60s",
     .doc =
         "After this time the cluster itself ends a transaction that a lost bridge has left open; until then "
         "consumers of its topics wait. At most the cluster's transaction.max.timeout.ms.",
     .assign = bind_setting<&KafkaSettings::transaction_timeout>,
     .minimum = 5'000,
     .maximum = 900'000},
    {.key = "timestamp",
     .kind = SettingKind::choice,
     .default_text = "received",
     .doc =
         "The time of a record: \"received\", when the broker took the message in, or \"sent\", with the "
         "other "
         "one in the header `sluice.received`. The cluster deletes by it: where an outage may be longer than "
         "the topic's retention.ms, take \"sent\".",
     .assign = bind_setting<&KafkaSettings::timestamp>,
     .choices = timestamp_names},
    {.key = "preset",
     .kind = SettingKind::choice,
     .default_text = "",
     .doc = "What a managed cluster wants: port, TLS, `sasl`, for Azure Event Hubs also the user "
            "\"$ConnectionString\" and how long a connection may idle. Each key can still be set.",
     .assign = bind_setting<&KafkaSettings::preset>,
     .choices = preset_names},
    {.key = "sasl",
     .kind = SettingKind::choice,
     .default_text = "",
     .doc = "How the bridge proves itself, beside or instead of a certificate. Left out: as the preset says, "
            "else \"none\".",
     .assign = bind_setting<&KafkaSettings::sasl>,
     .choices = sasl_names},
    {.key = "user",
     .kind = SettingKind::text,
     .default_text = "",
     .doc = "The user name for \"plain\" and \"scram-...\"; Confluent Cloud: the API key.",
     .assign = bind_setting<&KafkaSettings::user>},
    {.key = "password",
     .kind = SettingKind::secret,
     .default_text = "",
     .doc = "The user's password; Event Hubs: the connection string; Confluent Cloud: the API secret.",
     .assign = bind_setting<&KafkaSettings::password>},
    {.key = "token_file",
     .kind = SettingKind::path,
     .default_text = "",
     .doc = "File with the token for \"oauthbearer\"; read again when it changes and before the token "
            "expires.",
     .assign = bind_setting<&KafkaSettings::token_file>},
    {.key = "token_command",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc =
         "Program and arguments that print the token for \"oauthbearer\"; run without a shell, for at most "
         "30 s, and again before the token expires.",
     .assign = bind_setting<&KafkaSettings::token_command>},
};
constexpr auto bridge_table = join_rows(own_table, tls_rows<&KafkaSettings::tls>);

constexpr SettingRow route_table[] = {
    {.key = "topic",
     .kind = SettingKind::text,
     .default_text = "",
     .doc = "Template of the Kafka topic. {topic} has '.' in place of '/'.",
     .assign = bind_setting<&KafkaRoute::topic>,
     .required = true},
    {.key = "topic_illegal",
     .kind = SettingKind::choice,
     .default_text = "refuse",
     .doc =
         "What happens when a placeholder's value has a character that cannot stand in a topic's name: the "
         "message is refused, or '_' stands in its place. With '_' two MQTT topics may become one.",
     .assign = bind_setting<&KafkaRoute::topic_illegal>,
     .choices = topic_illegal_names},
    {.key = "key",
     .kind = SettingKind::text,
     .default_text = "{client_id}",
     .doc = "Template of the record's key: records of one key stay in order, in one partition, the one that "
            "Java clients choose too. An empty key means any partition.",
     .assign = bind_setting<&KafkaRoute::key>},
    {.key = "headers",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc = "Send the MQTT topic, QoS, client id and properties as record headers.",
     .assign = bind_setting<&KafkaRoute::headers>},
    {.key = "cloudevents",
     .kind = SettingKind::boolean,
     .default_text = "false",
     .doc = cloudevents_doc,
     .assign = bind_setting<&KafkaRoute::cloudevents>},
    {.key = "ce_type",
     .kind = SettingKind::text,
     .default_text = ce_type_default,
     .doc = ce_type_doc,
     .assign = bind_setting<&KafkaRoute::ce_type>},
    {.key = "ce_source",
     .kind = SettingKind::text,
     .default_text = ce_source_default,
     .doc = ce_source_doc,
     .assign = bind_setting<&KafkaRoute::ce_source>},
};

constexpr SettingRow down_table[] = {
    {.key = "topics",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc =
         "Kafka topics to read. An entry that begins with '^' is a pattern (POSIX extended) of topic names. "
         "A topic belongs to the first row that names it.",
     .assign = bind_setting<&KafkaDown::topics>,
     .required = true},
    {.key = "group",
     .kind = SettingKind::text,
     .default_text = "",
     .doc = "The consumer group, in which Kafka keeps how far we are. Left out: a group of this gateway and "
            "bridge alone, so that every gateway gets everything; gateways with the same group share the "
            "partitions. All rows of a bridge are in one group.",
     .assign = bind_setting<&KafkaDown::group>},
    {.key = "start",
     .kind = SettingKind::choice,
     .default_text = "latest",
     .doc =
         "Where a group begins in a partition that it has never read: behind what is there (\"latest\"), or "
         "with the oldest record (\"earliest\"). From then on the committed offset alone counts. A "
         "partition that is added to a topic which the group reads already is read from its first record.",
     .assign = bind_setting<&KafkaDown::start>,
     .choices = start_names},
};

}  // namespace

std::span<const SettingRow> bridge_rows() {
    return bridge_table;
}
std::span<const SettingRow> route_rows() {
    return route_table;
}
std::span<const SettingRow> down_rows() {
    return down_table;
}

}  // namespace sluice::bridge::kafka
