#include "bridge/amqp/settings.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr std::string_view sasl_names[] = {"plain", "external"};

constexpr SettingRow own_table[] = {
    {.key = "servers",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc = "Servers of the cluster, each \"host:port\"; without a port 5672, with TLS 5671. Each attempt "
            "takes the next one.",
     .assign = bind_setting<&AmqpSettings::servers>,
     .required = true},
    {.key = "virtual_host",
     .kind = SettingKind::text,
     .default_text = "/",
     .doc = "The virtual host.",
     .assign = bind_setting<&AmqpSettings::virtual_host>},
    {.key = "user",
     .kind = SettingKind::text,
     .default_text = "guest",
     .doc = "The user name; RabbitMQ lets \"guest\" in from its own machine only.",
     .assign = bind_setting<&AmqpSettings::user>},
    {.key = "password",
     .kind = SettingKind::secret,
     .default_text = "guest",
     .doc = "The user's password.",
     .assign = bind_setting<&AmqpSettings::password>},
    {.key = "sasl",
     .kind = SettingKind::choice,
     .default_text = "plain",
     .doc = "How the bridge logs in: with `user` and `password`, or (\"external\") as whom its `certificate` "
            "names.",
     .assign = bind_setting<&AmqpSettings::sasl>,
     .choices = sasl_names},
    {.key = "heartbeat",
     .kind = SettingKind::duration,
     .default_text = "10s",
     .doc =
         "The server is asked to show itself this often, in whole seconds; it is given up after twice that "
         "time without a sign of life.",
     .assign = bind_setting<&AmqpSettings::heartbeat>,
     .minimum = 1000,
     .maximum = 3'600'000},
    {.key = "connect_timeout",
     .kind = SettingKind::duration,
     .default_text = "10s",
     .doc = "An attempt to connect and log in fails after this time; the next one follows after 0.5 to 30 s.",
     .assign = bind_setting<&AmqpSettings::connect_timeout>,
     .minimum = 1000,
     .maximum = 300'000},
    {.key = "confirm_timeout",
     .kind = SettingKind::duration,
     .default_text = "30s",
     .doc = "When the server has confirmed nothing for this time the bridge is shown as stalled.",
     .assign = bind_setting<&AmqpSettings::confirm_timeout>,
     .minimum = 1000,
     .maximum = 3'600'000},
};

constexpr auto bridge_table = join_rows(own_table, tls_rows<&AmqpSettings::tls>);

constexpr SettingRow route_table[] = {
    {.key = "exchange",
     .kind = SettingKind::text,
     .default_text = "amq.topic",
     .doc = "Template of the exchange to publish to; it must exist. Empty is the default exchange.",
     .assign = bind_setting<&AmqpRoute::exchange>},
    {.key = "routing_key",
     .kind = SettingKind::text,
     .default_text = "{topic}",
     .doc =
         "Template of the routing key. {topic} has '.' in place of '/', as RabbitMQ's MQTT plugin does it; "
         "a '.' or '%' in any placeholder's value is written as %2E and %25. Over 255 bytes: refused.",
     .assign = bind_setting<&AmqpRoute::routing_key>},
    {.key = "persistent",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc = "Queues keep the message on disk (delivery mode 2).",
     .assign = bind_setting<&AmqpRoute::persistent>},
    {.key = "mandatory",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc = "A message that no queue takes is refused instead of being thrown away by the server.",
     .assign = bind_setting<&AmqpRoute::mandatory>},
    {.key = "cloudevents",
     .kind = SettingKind::boolean,
     .default_text = "false",
     .doc = cloudevents_doc,
     .assign = bind_setting<&AmqpRoute::cloudevents>},
    {.key = "ce_type",
     .kind = SettingKind::text,
     .default_text = ce_type_default,
     .doc = ce_type_doc,
     .assign = bind_setting<&AmqpRoute::ce_type>},
    {.key = "ce_source",
     .kind = SettingKind::text,
     .default_text = ce_source_default,
     .doc = ce_source_doc,
     .assign = bind_setting<&AmqpRoute::ce_source>},
};

}  // namespace

std::span<const SettingRow> bridge_rows() {
    return bridge_table;
}
std::span<const SettingRow> route_rows() {
    return route_table;
}

}  // namespace sluice::bridge::amqp
