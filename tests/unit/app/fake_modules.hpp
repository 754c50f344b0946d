#pragma once
/// Connector modules for tests of the loader: the keys of the examples, and no upstream behind them.
#include <string>
#include <vector>

#include "app/config.hpp"

namespace sluice::app {

struct FakeBridgeSettings {
    std::vector<std::string> servers;
    std::string password;
    std::string tls_ca;
    std::int64_t retry_ms = 0;
};
struct FakeRouteSettings {
    std::string topic, key;
};

/// "kafka" (needs servers and topic), and "file" (needs nothing).
ModuleSource fake_modules();
std::vector<const bridge::ConnectorModule*> fake_module_list();

}  // namespace sluice::app
