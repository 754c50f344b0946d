#include "bridge/amqp/settings.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr std::string_view sasl_names[] = {"plain", "external"};
constexpr std::string_view queue_types[] = {"server", "classic", "quorum"};

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

constexpr SettingRow down_table[] = {
    {.key = "queue",
     .kind = SettingKind::text,
     .default_text = "",
     .doc = "The queue to consume; {origin} in it stands for the gateway's own identity. Several gateways at "
            "one queue share its messages.",
     .assign = bind_setting<&AmqpDown::queue>,
     .required = true},
    {.key = "declare",
     .kind = SettingKind::boolean,
     .default_text = "false",
     .doc = "Make the queue when it is not there: durable, and bound to `exchange` by `binding_keys`. One "
            "that is there is only bound. false: the bridge waits for it.",
     .assign = bind_setting<&AmqpDown::declare>},
    {.key = "queue_type",
     .kind = SettingKind::choice,
     .default_text = "server",
     .doc = "The type of a queue that the bridge makes; \"server\" leaves it to the virtual host.",
     .assign = bind_setting<&AmqpDown::queue_type>,
     .choices = queue_types},
    {.key = "dead_letter_exchange",
     .kind = SettingKind::text,
     .default_text = "",
     .doc =
         "Where a queue that the bridge makes sends what is rejected; left out: the server throws it away.",
     .assign = bind_setting<&AmqpDown::dead_letter_exchange>},
    {.key = "exchange",
     .kind = SettingKind::text,
     .default_text = "amq.topic",
     .doc = "The exchange to which the queue is bound; it must exist.",
     .assign = bind_setting<&AmqpDown::exchange>},
    {.key = "binding_keys",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc = "With `declare`: the keys by which the queue is bound, as in \"commands.{origin}.#\". A binding "
            "stays when its key is removed here. None: the queue is reached by its name.",
     .assign = bind_setting<&AmqpDown::binding_keys>},
    {.key = "prefetch",
     .kind = SettingKind::integer,
     .default_text = "0",
     .doc = "The most messages of the queue that may be on their way and not yet acknowledged; 0: an equal "
            "part of `down_inflight_max`.",
     .assign = bind_setting<&AmqpDown::prefetch>,
     .minimum = 0,
     .maximum = 65'535},
    {.key = "message_bytes_max",
     .kind = SettingKind::size,
     .default_text = "16MiB",
     .doc = "A larger message is rejected.",
     .assign = bind_setting<&AmqpDown::message_bytes_max>,
     .minimum = 1024,
     .maximum = 268'435'455},
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

}  // namespace sluice::bridge::amqp
