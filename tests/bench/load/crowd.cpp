#include "crowd.hpp"

#include <algorithm>
#include <stdexcept>

namespace bench {
namespace {

constexpr std::uint64_t deadline_ns = 300'000'000'000U;
constexpr std::uint32_t connects_at_a_time = 200;
constexpr std::uint32_t filters_per_packet = 100;
constexpr std::uint32_t retained_at_a_time = 500;

}  // namespace

Crowd::Crowd(std::uint16_t port, bool tls, std::string prefix) : port_(port), prefix_(std::move(prefix)) {
    if (tls) tls_ = make_tls_context();
}

void Crowd::wait_for(const char* what, const std::uint64_t& counter, std::uint64_t wanted) {
    const std::uint64_t end = now_ns() + deadline_ns;
    while (counter < wanted) {
        loop_.turn(1000);
        if (now_ns() > end) throw std::runtime_error(std::string("the broker has not ") + what + " in time");
    }
}

void Crowd::connect(std::uint32_t count) {
    clients_.reserve(clients_.size() + count);
    for (std::uint32_t i = 0; i < count; ++i) {
        clients_.push_back(std::make_unique<Client>(loop_, *this, port_, tls_.get()));
        clients_.back()->send(connect_packet(prefix_ + "-" + std::to_string(clients_.size()), true));
        loop_.flush();
        if (clients_.size() > connects_at_a_time)
            wait_for("accepted a client", connacks_, clients_.size() - connects_at_a_time);
    }
    wait_for("accepted a client", connacks_, clients_.size());
}

void Crowd::subscribe(std::uint32_t count, const std::function<std::string(std::uint32_t)>& name_of) {
    const auto crowd = static_cast<std::uint32_t>(clients_.size());
    std::uint64_t packets = subacks_;
    for (std::uint32_t c = 0; c < crowd; ++c) {
        std::vector<std::string> filters;
        for (std::uint32_t i = c; i < count; i += crowd) {
            filters.push_back(name_of(i));
            if (filters.size() < filters_per_packet && i + crowd < count) continue;
            clients_[c]->send(subscribe_packet(filters, 0));
            filters.clear();
            loop_.flush();
            wait_for("confirmed subscriptions", subacks_, ++packets);
        }
    }
}

void Crowd::publish_retained(std::uint32_t count, std::size_t payload_bytes) {
    for (std::uint32_t i = 0; i < count; ++i) {
        PublishTemplate message(prefix_ + "/" + std::to_string(i), 1, true, payload_bytes, 0);
        message.append_to(clients_.front()->out(), static_cast<std::uint16_t>(i % 65'535 + 1), i, 0);
        clients_.front()->send_soon();
        if (i < retained_at_a_time) continue;
        loop_.flush();
        wait_for("taken a retained message", pubacks_, i - retained_at_a_time);
    }
    loop_.flush();
    wait_for("taken a retained message", pubacks_, count);
}

void Crowd::read_retained(const std::string& filter, std::uint32_t expected) {
    publishes_ = 0;
    const std::vector<std::string> filters{filter};
    for (const auto& client : clients_) client->send(subscribe_packet(filters, 0));
    loop_.flush();
    wait_for("sent the retained messages", publishes_, std::uint64_t{expected} * clients_.size());
}

void Crowd::on_packet(Client&, const Packet& packet) {
    switch (packet.first & 0xF0) {
        case connack:
            if (packet.body.size() != 2 || packet.body[1] != 0)
                throw std::runtime_error("the broker refused a client");
            ++connacks_;
            break;
        case suback:
            if (std::any_of(packet.body.begin() + 2, packet.body.end(),
                            [](char code) { return static_cast<unsigned char>(code) >= 0x80; }))
                throw std::runtime_error("the broker refused a subscription");
            ++subacks_;
            break;
        case puback:
            ++pubacks_;
            break;
        case publish:
            ++publishes_;
            break;
        default:
            break;
    }
}

Churn::Churn(ChurnPlan plan) : plan_(plan) {
    if (plan_.tls) tls_ = make_tls_context();
}

void Churn::start_one() {
    auto client = std::make_unique<Client>(loop_, *this, plan_.port, tls_.get(), session_.get());
    client->index = started_++;
    client->send(connect_packet("churn-" + std::to_string(client->index), true));
    under_way_.push_back(std::move(client));
}

void Churn::on_packet(Client& client, const Packet& packet) {
    if ((packet.first & 0xF0) != connack || packet.body.size() != 2 || packet.body[1] != 0)
        throw std::runtime_error("the broker refused a client");
    if (client.transport().resumed()) ++result_.resumed;
    if (plan_.resume && !session_) session_ = client.transport().session();
    client.send(disconnect_packet());
    accepted_.push_back(client.index);
}

ChurnResult Churn::run() {
    const std::uint64_t start = now_ns(), end = start + deadline_ns;
    std::uint32_t finished = 0;
    while (finished < plan_.count) {
        // The first one alone when its session is to be resumed.
        const std::uint32_t limit = plan_.resume && !session_ ? 1 : plan_.parallel;
        const std::uint64_t due =
            plan_.rate == 0 ? plan_.count : (now_ns() - start) * plan_.rate / 1'000'000'000U + 1;
        while (started_ < plan_.count && started_ < due && under_way_.size() < limit) start_one();
        loop_.turn(plan_.rate == 0 ? 1000 : 1);
        for (const std::uint32_t index : accepted_) {
            std::erase_if(under_way_, [index](const auto& client) { return client->index == index; });
            ++finished;
        }
        accepted_.clear();
        if (now_ns() > end) throw std::runtime_error("the broker has not accepted all clients in time");
    }
    result_.seconds = static_cast<double>(now_ns() - start) / 1e9;
    return result_;
}

}  // namespace bench
