#include "listener/settings.hpp"

namespace sluice::listener {

std::span<const SettingRow> listener_rows() {
    using enum SettingKind;
    static constexpr std::string_view transport_names[] = {"tcp", "websocket", "unix"};
    static constexpr SettingRow rows[] = {
        {"address", text, "",
         "The IP address to listen on, as 127.0.0.1 or ::1; left out: every address of the machine.",
         bind_setting<&ListenerSettings::address>},
        {"port", integer, "1883", "The TCP port; 0: any free one, told in the log.",
         bind_setting<&ListenerSettings::port>, 0, 65535},
        {"path", path, "", "The file of the socket; for, and only for, transport \"unix\".",
         bind_setting<&ListenerSettings::path>},
        {"transport", choice, "tcp", "How MQTT is carried.", bind_setting<&ListenerSettings::transport>, 0, 2,
         transport_names},
        {"anonymous", boolean, "false",
         "Lets clients in that give no user name and password. Only on a loopback address or a Unix socket, "
         "unless `insecure` is true.",
         bind_setting<&ListenerSettings::anonymous>},
        {"insecure", boolean, "false",
         "Says that this listener is meant to be open: allows `anonymous` beyond loopback.",
         bind_setting<&ListenerSettings::insecure>},
    };
    return rows;
}

}  // namespace sluice::listener
