#include "bridge/mqtt/settings.hpp"

namespace sluice::bridge::mqtt {
namespace {

constexpr std::string_view protocols[] = {"5", "3.1.1"};
constexpr std::string_view retains[] = {"keep", "never"};

constexpr SettingRow own_bridge_table[] = {
    {.key = "servers",
     .kind = SettingKind::text_list,
     .default_text = "",
     .doc =
         "Servers, each \"host:port\"; without a port 1883, with TLS 8883. After a failed attempt the next "
         "one is tried.",
     .assign = bind_setting<&MqttSettings::servers>,
     .required = true},
    {.key = "protocol",
     .kind = SettingKind::choice,
     .default_text = "5",
     .doc =
         "The version of MQTT. Properties, loop prevention at the server and reasons for a refusal need 5.",
     .assign = bind_setting<&MqttSettings::protocol>,
     .choices = protocols},
    {.key = "client_id",
     .kind = SettingKind::text,
     .default_text = "",
     .doc =
         "The client identifier; it must stay the same, since the server keeps what waits for us under it. "
         "Left out: \"sluice-\", the bridge's name, \"-\" and the gateway's own identity.",
     .assign = bind_setting<&MqttSettings::client_id>},
    {.key = "user",
     .kind = SettingKind::text,
     .default_text = "",
     .doc = "The user name; left out: none is sent.",
     .assign = bind_setting<&MqttSettings::user>},
    {.key = "password",
     .kind = SettingKind::secret,
     .default_text = "",
     .doc = "The user's password; left out: none is sent.",
     .assign = bind_setting<&MqttSettings::password>},
    {.key = "keep_alive",
     .kind = SettingKind::duration,
     .default_text = "30s",
     .doc =
         "Each side hears from the other at least this often, in whole seconds; a silent server is given up "
         "after one and a half times that time.",
     .assign = bind_setting<&MqttSettings::keep_alive>,
     .minimum = 1000,
     .maximum = 65'535'000,
     .step = 1000},
    {.key = "connect_timeout",
     .kind = SettingKind::duration,
     .default_text = "10s",
     .doc = "An attempt to connect and log in fails after this time; the next one follows after 0.5 to 30 s.",
     .assign = bind_setting<&MqttSettings::connect_timeout>,
     .minimum = 1000,
     .maximum = 300'000},
    {.key = "confirm_timeout",
     .kind = SettingKind::duration,
     .default_text = "30s",
     .doc = "When the server has confirmed nothing for this time the bridge is shown as stalled.",
     .assign = bind_setting<&MqttSettings::confirm_timeout>,
     .minimum = 1000,
     .maximum = 3'600'000},
    {.key = "clean_start",
     .kind = SettingKind::boolean,
     .default_text = "false",
     .doc =
         "Have the server forget at each connection what waits for `down`. It also forgets filters that are "
         "no longer in the config.",
     .assign = bind_setting<&MqttSettings::clean_start>},
    {.key = "session_expiry",
     .kind = SettingKind::duration,
     .default_text = "7d",
     .doc = "How long the server keeps what waits for `down` while the bridge is away, in whole seconds. In "
            "3.1.1 the server decides.",
     .assign = bind_setting<&MqttSettings::session_expiry>,
     .minimum = 0,
     .maximum = 4'294'967'294'000,
     .step = 1000},
    {.key = "packet_bytes_max",
     .kind = SettingKind::size,
     .default_text = "16MiB",
     .doc =
         "The largest packet that is taken from the server. In version 5 the server knows it and leaves out "
         "larger ones; in 3.1.1 one ends the connection.",
     .assign = bind_setting<&MqttSettings::packet_bytes_max>,
     .minimum = 1024,
     .maximum = 268'435'455},
    {.key = "retain",
     .kind = SettingKind::boolean,
     .default_text = "true",
     .doc = "Forward the RETAIN flag; false: on no route in either direction.",
     .assign = bind_setting<&MqttSettings::retain>},
};
constexpr auto bridge_table = join_rows(own_bridge_table, tls_rows<&MqttSettings::tls>);

constexpr SettingRow route_table[] = {
    {.key = "topic",
     .kind = SettingKind::text,
     .default_text = "{topic}",
     .doc = "Template of the topic at the server; \"site-7/{topic}\" puts a prefix in front. What gives no "
            "valid topic name is refused.",
     .assign = bind_setting<&MqttRoute::topic>},
    {.key = "qos",
     .kind = SettingKind::integer,
     .default_text = "1",
     .doc = "1: the server confirms each message. 0: a message counts as delivered when it is written to the "
            "connection, and may be lost with it. Also 0 when the server takes no more.",
     .assign = bind_setting<&MqttRoute::qos>,
     .minimum = 0,
     .maximum = 1},
    {.key = "retain",
     .kind = SettingKind::choice,
     .default_text = "keep",
     .doc = "Whether the RETAIN flag goes along.",
     .assign = bind_setting<&MqttRoute::retain>,
     .choices = retains},
};

constexpr SettingRow down_table[] = {
    {.key = "filter",
     .kind = SettingKind::text,
     .default_text = "",
     .doc =
         "The topic filter to subscribe to at the server; \"$share/GROUP/FILTER\" shares the work with other "
         "gateways. A message belongs to the first row that matches.",
     .assign = bind_setting<&MqttDown::filter>,
     .required = true},
    {.key = "subscribe_qos",
     .kind = SettingKind::integer,
     .default_text = "1",
     .doc =
         "The highest QoS to ask for. 1: a message is acknowledged when it is safe here. 0: it may be lost.",
     .assign = bind_setting<&MqttDown::subscribe_qos>,
     .minimum = 0,
     .maximum = 1},
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

}  // namespace sluice::bridge::mqtt
