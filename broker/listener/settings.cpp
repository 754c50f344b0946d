#include "listener/settings.hpp"

#include <charconv>

namespace sluice::listener {

std::span<const SettingRow> listener_rows() {
    using enum SettingKind;
    static constexpr std::string_view transport_names[] = {"tcp", "websocket", "unix"};
    static constexpr std::string_view proxy_names[] = {"none", "required"};
    static constexpr SettingRow rows[] = {
        {"address", text, "",
         "The IP address to listen on, as 127.0.0.1 or ::1; left out: every address of the machine.",
         bind_setting<&ListenerSettings::address>},
        {"port", integer, "1883", "The TCP port; 0: any free one, told in the log.",
         bind_setting<&ListenerSettings::port>, 0, 65535},
        {"path", path, "", "The file of the socket; for, and only for, transport \"unix\".",
         bind_setting<&ListenerSettings::path>},
        {"mode", text, "0660",
         "For transport \"unix\": the permissions of the socket as for chmod; whoever may write to it may "
         "connect. Owner and group are those of the process.",
         bind_setting<&ListenerSettings::mode>},
        {"transport", choice, "tcp", "How MQTT is carried.", bind_setting<&ListenerSettings::transport>, 0, 2,
         transport_names},
        {"anonymous", boolean, "false",
         "Lets clients in that give no user name and password. Only on a loopback address or a Unix socket "
         "without `proxy_protocol`, unless `insecure` is true.",
         bind_setting<&ListenerSettings::anonymous>},
        {"insecure", boolean, "false",
         "Says that this listener is meant to be open: allows `anonymous` beyond loopback and behind "
         "proxies.",
         bind_setting<&ListenerSettings::insecure>},
        {"proxy_protocol", choice, "none",
         "Whether each connection begins with a header of the PROXY protocol, version 1 or 2, as HAProxy and "
         "load balancers send it: the address in it is then the client's, in the log and for limits. "
         "\"required\" closes what comes without one; it is never guessed.",
         bind_setting<&ListenerSettings::proxy_protocol>, 0, 1, proxy_names},
        {"proxy_from", text_list, "",
         "The proxies: IP addresses, or networks such as 10.0.0.0/8, that may connect to a listener with "
         "`proxy_protocol`; empty: anybody who reaches it, and so may claim any address.",
         bind_setting<&ListenerSettings::proxy_from>},
        {"origins", text_list, "",
         "For transport \"websocket\": the web pages whose scripts may connect, as https://dash.example or "
         "http://192.0.2.7:8080, \"null\" for pages without an origin, or \"*\" for all; others get 403. "
         "Empty: only pages that come from the host that they connect to (any port), where that is an IP "
         "address, localhost, or this machine's own name: its host name, the first label of that, or the "
         "latter with .local; so that a page of the Internet cannot use a visitor's browser as its way in. "
         "Other names, which anybody's name server may lead here (DNS rebinding), must stand in the list. "
         "Clients that are no browsers send no origin and are "
         "not concerned.",
         bind_setting<&ListenerSettings::origins>},
        {"websocket_path", text, "",
         "For transport \"websocket\": the path that clients ask for, as /mqtt; others get 404. Empty: any.",
         bind_setting<&ListenerSettings::websocket_path>},
    };
    return rows;
}

std::optional<unsigned> parse_mode(std::string_view text) {
    unsigned mode = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && text.size() >= 3 && text.size() <= 4 && mode <= 0777 ? std::optional(mode) : std::nullopt;
}

}  // namespace sluice::listener
