#pragma once
/// `[admin]`: the operators' HTTP port.
#include <cstdint>
#include <string>

#include "base/settings.hpp"

namespace sluice::admin {

struct AdminSettings {
    std::string address = "127.0.0.1";
    std::uint16_t port = 9883;
    bool operator==(const AdminSettings&) const = default;
};
std::span<const SettingRow> admin_rows();

}  // namespace sluice::admin
