#include "bridge/kafka/settings.hpp"

namespace sluice::bridge::kafka {
namespace {

constexpr std::string_view compressions[] = {"none", "gzip", "snappy", "lz4", "zstd"};

constexpr std::string_view topic_illegal_names[] = {"refuse", "replace"};
constexpr std::string_view sasl_names[] = {"none", "plain", "scram-sha-256", "scram-sha-512", "oauthbearer"};
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
    {.key = "missing_topic_wait",
     .kind = SettingKind::duration,
     .default_text = "5m",
     .doc =
         "How long messages wait for a topic that the cluster does not have; then they are refused (dead "
         "letters) until it is there. 0: for ever. A topic that the bridge may not write to refuses at once.",
     .assign = bind_setting<&KafkaSettings::missing_topic_wait>,
     .minimum = 0,
     .maximum = 604'800'000},
    {.key = "options",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc = "Further settings of librdkafka, each \"name=value\", such as \"socket.nagle.disable=true\". "
            "Those on which delivery and order rest cannot be changed.",
     .assign = bind_setting<&KafkaSettings::options>},
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

}  // namespace

std::span<const SettingRow> bridge_rows() {
    return bridge_table;
}
std::span<const SettingRow> route_rows() {
    return route_table;
}

}  // namespace sluice::bridge::kafka
