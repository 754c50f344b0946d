#include "admin/settings.hpp"

namespace sluice::admin {

std::span<const SettingRow> admin_rows() {
    using enum SettingKind;
    static constexpr SettingRow rows[] = {
        {"address", text, "127.0.0.1",
         "The IP address of the HTTP port for metrics, health and status. It asks for no password: keep it "
         "on "
         "loopback or behind a proxy.",
         bind_setting<&AdminSettings::address>},
        {"port", integer, "9883", "The TCP port; 0: any free one, told in the log.",
         bind_setting<&AdminSettings::port>, 0, 65535},
    };
    return rows;
}

}  // namespace sluice::admin
