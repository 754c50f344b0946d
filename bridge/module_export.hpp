#pragma once
/// The part of a module's export that is the same for all.
#include "base/clock_history.hpp"
#include "base/log.hpp"
#include "bridge/connector.hpp"

namespace sluice::bridge {

/// ConnectorModule::set_log_sink. The process's log filters, so nothing is held back here.
inline void adopt_log_sink(log::Sink sink) {
    log::set_level(log::Level::debug);
    log::set_sink(sink);
}

/// ConnectorModule::set_clock_history.
inline void adopt_clock_history(ClockHistory& history) {
    ClockHistory::use(history);
}

template <class T>
std::shared_ptr<void> make_settings_struct() {
    return std::make_shared<T>();
}

}  // namespace sluice::bridge

/// What a module shows; everything else in it is hidden.
#define SLUICE_EXPORT_MODULE extern "C" __attribute__((visibility("default")))
