#include "bridge/amqp1/settings.hpp"

namespace sluice::bridge::amqp1 {
namespace {

constexpr std::string_view sasl_choices[] = {"auto", "plain", "external", "anonymous"};

constexpr SettingRow own_table[] = {
    {.key = "servers",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc =
         "Servers, each \"host:port\"; without a port 5672, with TLS 5671. Each attempt takes the next one.",
     .assign = bind_setting<&Amqp1Settings::servers>,
     .required = true},
    {.key = "virtual_host",
     .kind = SettingKind::text,
     .default_text = "",
     .doc = "What to name as the host in the open frame, such as \"vhost:plant\" of RabbitMQ; left out: the "
            "host that `servers` names.",
     .assign = bind_setting<&Amqp1Settings::virtual_host>},
    {.key = "user",
     .kind = SettingKind::text,
     .default_text = "",
     .doc = "The user name; Azure: the name of the shared access policy.",
     .assign = bind_setting<&Amqp1Settings::user>},
    {.key = "password",
     .kind = SettingKind::secret,
     .default_text = "",
     .doc = "The user's password; Azure: the policy's key.",
     .assign = bind_setting<&Amqp1Settings::password>},
    {.key = "sasl",
     .kind = SettingKind::choice,
     .default_text = "auto",
     .doc = "How to log in. \"auto\": plain when there is a user, else external when there is a certificate, "
            "else anonymous.",
     .assign = bind_setting<&Amqp1Settings::sasl>,
     .choices = sasl_choices},
    {.key = "heartbeat",
     .kind = SettingKind::duration,
     .default_text = "10s",
     .doc = "The server is asked to show itself this often; it is given up after twice that time without a "
            "sign of life.",
     .assign = bind_setting<&Amqp1Settings::heartbeat>,
     .minimum = 500,
     .maximum = 3'600'000},
    {.key = "connect_timeout",
     .kind = SettingKind::duration,
     .default_text = "10s",
     .doc = "An attempt to connect and log in fails after this time; the next one follows after 0.5 to 30 s.",
     .assign = bind_setting<&Amqp1Settings::connect_timeout>,
     .minimum = 1000,
     .maximum = 300'000},
    {.key = "confirm_timeout",
     .kind = SettingKind::duration,
     .default_text = "30s",
     .doc = "When the server has confirmed nothing, or gives no credit, for this time the bridge is shown as "
            "stalled.",
     .assign = bind_setting<&Amqp1Settings::confirm_timeout>,
     .minimum = 1000,
     .maximum = 3'600'000},
};
constexpr auto bridge_table = join_rows(own_table, tls_rows<&Amqp1Settings::tls>);

constexpr SettingRow route_table[] = {
    {.key = "address",
     .kind = SettingKind::text,
     .default_text = "",
     .doc =
         "Template of the address to send to: a queue, a topic or an event hub; RabbitMQ 4: "
         "\"/exchanges/NAME/KEY\" or \"/queues/NAME\". {topic} has '.' in place of '/'. In one that begins "
         "with '/' all values are percent-encoded, as RabbitMQ 4 wants it.",
     .assign = bind_setting<&Amqp1Route::address>,
     .required = true},
    {.key = "partition_key",
     .kind = SettingKind::text,
     .default_text = "{client_id}",
     .doc =
         "Template of the annotation x-opt-partition-key, by which Event Hubs and Service Bus keep messages "
         "of one key in order; only its first 128 bytes go. Empty: none.",
     .assign = bind_setting<&Amqp1Route::partition_key>},
    {.key = "group_id",
     .kind = SettingKind::text,
     .default_text = "",
     .doc =
         "Template of the property group-id: Artemis gives a group to one consumer, Service Bus takes it as "
         "the session. Empty: none.",
     .assign = bind_setting<&Amqp1Route::group_id>},
    {.key = "durable",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc = "The server keeps the message on disk.",
     .assign = bind_setting<&Amqp1Route::durable>},
};

constexpr SettingRow down_table[] = {
    {.key = "address",
     .kind = SettingKind::text,
     .default_text = "",
     .doc =
         "The address to receive from: a queue or a subscription; RabbitMQ 4: \"/queues/NAME\". {origin} in "
         "it stands for the gateway's own identity.",
     .assign = bind_setting<&Amqp1Down::address>,
     .required = true},
    {.key = "credit",
     .kind = SettingKind::integer,
     .default_text = "100",
     .doc = "How many messages the server may send that are not settled yet.",
     .assign = bind_setting<&Amqp1Down::credit>,
     .minimum = 1,
     .maximum = 10'000},
    {.key = "message_bytes_max",
     .kind = SettingKind::size,
     .default_text = "1MiB",
     .doc = "A larger message is rejected.",
     .assign = bind_setting<&Amqp1Down::message_bytes_max>,
     .minimum = 1000,
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

Result<const char*, std::string> sasl_mechanism(const Amqp1Settings& settings) {
    const bool has_user = !settings.user.empty(), has_certificate = !settings.tls.certificate.empty();
    if (!has_user && !settings.password.empty())
        return Err{std::string("password: there is no `user`; expected both or neither")};
    switch (settings.sasl) {
        case Sasl::automatic:
            return has_user ? "PLAIN" : has_certificate ? "EXTERNAL" : "ANONYMOUS";
        case Sasl::plain:
            if (!has_user) return Err{std::string("sasl: \"plain\" needs a user; expected the key `user`")};
            return "PLAIN";
        case Sasl::external:
            if (!has_certificate)
                return Err{
                    std::string("sasl: \"external\" needs a certificate; expected the keys "
                                "`certificate` and `key`")};
            if (has_user)
                return Err{
                    std::string("user: has no meaning with sasl = \"external\"; expected the name in "
                                "the certificate only")};
            return "EXTERNAL";
        case Sasl::anonymous:
            break;
    }
    if (has_user) return Err{std::string("user: has no meaning with sasl = \"anonymous\"; expected none")};
    return "ANONYMOUS";
}

}  // namespace sluice::bridge::amqp1
