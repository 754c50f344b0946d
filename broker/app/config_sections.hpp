#pragma once
/// The tables of the settings file that need more than their rows: what must fit together.
#include "app/config.hpp"
#include "app/config_reader.hpp"

namespace sluice::app {

/// `[[listener]]` with `[listener.tls]`; the default listener when there is none. Call after `[auth]` and
/// `[admin]` are read: what they say decides what a listener may do.
void read_listeners(ConfigReader& reader, const TomlNode& root, Config& config);
/// `[admin]`.
void read_admin(ConfigReader& reader, const TomlNode& root, Config& config);
/// `[[bridge]]` with `[bridge.spool]`, `[[bridge.route]]` and the keys of its module.
void read_bridges(ConfigReader& reader, const TomlNode& root, const ModuleSource& modules, Config& config);

/// Whether the text is an IP address, and whether it can be reached from this machine only.
bool is_ip_address(const std::string& text);
bool is_loopback_address(const std::string& text);
/// Whether two sockets cannot listen on both with the same port; an empty address is every address, one that
/// is not an address overlaps none.
bool addresses_overlap(const std::string& a, const std::string& b);

}  // namespace sluice::app
