#include "app/sys_topics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sluice::app {

void SysTopics::set(std::string_view topic, std::string text) {
    const auto found = texts_.find(topic);
    if (found != texts_.end() && found->second == text) return;
    changed_.push_back({fmt::format("$SYS/broker/{}", topic), text});
    texts_.insert_or_assign(std::string(topic), std::move(text));
}

void SysTopics::update_loads(const SysNumbers& now, MonoTime time) {
    static constexpr struct {
        std::string_view name;
        double seconds;
    } windows[] = {{"1min", 60}, {"5min", 300}, {"15min", 900}};
    const double passed_s = std::chrono::duration<double>(time - before_time_).count();
    for (Load& load : loads_) {
        const auto count = static_cast<double>(now.*load.count - before_.*load.count);
        for (std::size_t i = 0; i < std::size(windows); ++i) {
            double& average = load.per_minute[i];
            if (passed_s > 0) {
                const double current = count * 60 / passed_s;
                average = current + std::exp(-passed_s / windows[i].seconds) * (average - current);
            }
            set(fmt::format("load/{}/{}", load.name, windows[i].name), fmt::format("{:.2f}", average));
        }
    }
    before_ = now;
    before_time_ = time;
}

std::vector<SysTopics::Value> SysTopics::update(const SysNumbers& now, MonoTime time) {
    changed_.clear();
    clients_maximum_ = std::max(clients_maximum_, now.clients_connected);
    heap_maximum_ = std::max(heap_maximum_, now.heap_bytes);
    set("version", version_);
    set("uptime",
        fmt::format("{} seconds", std::chrono::duration_cast<std::chrono::seconds>(time - started_).count()));
    set("clients/total", now.clients_connected + now.clients_disconnected);
    set("clients/maximum", clients_maximum_);
    set("clients/connected", now.clients_connected);
    set("clients/active", now.clients_connected);  // the older names of these two
    set("clients/disconnected", now.clients_disconnected);
    set("clients/inactive", now.clients_disconnected);
    set("clients/expired", now.clients_expired);
    set("messages/received", now.packets_received);
    set("messages/sent", now.packets_sent);
    set("messages/stored", now.messages_stored);  // the older name of the next one
    set("store/messages/count", now.messages_stored);
    set("publish/messages/received", now.publishes_received);
    set("publish/messages/sent", now.publishes_sent);
    set("publish/messages/dropped", now.publishes_dropped);
    set("publish/bytes/received", now.publish_bytes_received);
    set("publish/bytes/sent", now.publish_bytes_sent);
    set("bytes/received", now.bytes_received);
    set("bytes/sent", now.bytes_sent);
    set("subscriptions/count", now.subscriptions);
    set("shared_subscriptions/count", now.shared_subscriptions);
    set("retained messages/count", now.retained_messages);
    set("heap/current", now.heap_bytes);
    set("heap/maximum", heap_maximum_);
    update_loads(now, time);
    return std::move(changed_);
}

}  // namespace sluice::app
