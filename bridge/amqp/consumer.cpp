#include "bridge/amqp/consumer.hpp"

#include <amqp_framing.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.hpp"
#include "bridge/amqp/delivery.hpp"
#include "bridge/amqp/reply_text.hpp"

namespace sluice::bridge::amqp {
namespace {

constexpr std::uint16_t not_found = 404;

amqp_table_entry_t text_argument(const char* name, std::string_view text) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = to_amqp(text);
    return entry;
}

}  // namespace

Consumer::Consumer(DownQueue queue, std::uint32_t row, std::uint32_t rows, std::string tag,
                   std::uint64_t seed)
    : queue_(std::move(queue)),
      row_(row),
      rows_(rows),
      channel_(static_cast<amqp_channel_t>(row + 1)),
      tag_(std::move(tag)),
      backoff_(seed) {}

void Consumer::reset() {
    lose({}, State::closed);
    retry_at_ = {};
}

void Consumer::lose(std::string why, State state) {
    state_ = state;
    news_ = true;
    problem_ = why.empty() ? std::string() : fmt::format("queue '{}': {}", queue_.name, why);
    first_number_ += deliveries_.size();
    first_tag_ = 1;
    deliveries_.clear();
    settled_numbers_.clear();
    unsettled_ = 0;
    arriving_.reset();
}

Steady::time_point Consumer::wake_at() const {
    if (state_ == State::consuming) return Steady::time_point::max();
    return state_ == State::closed ? retry_at_ : Steady::time_point{};
}

void Consumer::work(Connection& connection) {
    if (state_ == State::closing) {
        // Deliveries that were under way are read, and ignored, before the channel's number is used again.
        amqp_channel_close(connection.state(), channel_, AMQP_REPLY_SUCCESS);
        connection.call_result(channel_);
        state_ = State::closed;
        retry_at_ = Steady::now() + backoff_.next();
        return;
    }
    if (state_ != State::closed || Steady::now() < retry_at_) return;
    const auto opened = open(connection);
    if (opened.problem.empty()) {
        state_ = State::consuming;
        problem_.clear();
        news_ = true;
        return;
    }
    lose(opened.problem, State::closed);
    retry_at_ = Steady::now() + backoff_.next();
}

Connection::CallResult Consumer::open(Connection& connection) {
    if (auto problem = connection.open_channel(channel_); !problem.empty()) return {std::move(problem), 0};
    if (queue_.declare) {
        if (auto made = make_queue(connection); !made.problem.empty()) return made;
        if (auto bound = bind_queue(connection); !bound.problem.empty()) return bound;
    }
    amqp_basic_qos(connection.state(), channel_, 0, queue_.prefetch, /*global=*/0);
    if (auto set = connection.call_result(channel_); !set.problem.empty()) return set;
    amqp_basic_consume(connection.state(), channel_, to_amqp(queue_.name), to_amqp(tag_), /*no_local=*/0,
                       /*no_ack=*/0, /*exclusive=*/0, amqp_empty_table);
    return connection.call_result(channel_);
}

/// One that is there is taken as it is: to declare it with other arguments would be an error.
Connection::CallResult Consumer::make_queue(Connection& connection) {
    const auto declare = [&](bool passive, const amqp_table_t& arguments) {
        amqp_queue_declare(connection.state(), channel_, to_amqp(queue_.name), passive ? 1 : 0,
                           /*durable=*/1, /*exclusive=*/0, /*auto_delete=*/0, arguments);
        return connection.call_result(channel_);
    };
    auto found = declare(true, amqp_empty_table);
    if (found.code != not_found) return found;
    if (auto problem = connection.open_channel(channel_); !problem.empty()) return {std::move(problem), 0};
    std::array<amqp_table_entry_t, 2> arguments{};
    int count = 0;
    if (queue_.type != QueueType::by_server)
        arguments[count++] =
            text_argument("x-queue-type", queue_.type == QueueType::quorum ? "quorum" : "classic");
    if (!queue_.dead_letter_exchange.empty())
        arguments[count++] = text_argument("x-dead-letter-exchange", queue_.dead_letter_exchange);
    auto made = declare(false, {count, arguments.data()});
    if (made.problem.empty()) log::info(fmt::format("amqp: made the queue {}", queue_.name));
    return made;
}

Connection::CallResult Consumer::bind_queue(Connection& connection) {
    for (const std::string& key : queue_.binding_keys) {
        amqp_queue_bind(connection.state(), channel_, to_amqp(queue_.name), to_amqp(queue_.exchange),
                        to_amqp(key), amqp_empty_table);
        if (auto bound = connection.call_result(channel_); !bound.problem.empty()) return bound;
    }
    return {};
}

void Consumer::take_frame(const amqp_frame_t& frame, Connection& connection,
                          std::vector<Incoming>& incoming) {
    if (frame.frame_type == AMQP_FRAME_METHOD) return take_method(frame.payload.method, connection);
    if (!arriving_) return;  // of a channel that was given up
    if (frame.frame_type == AMQP_FRAME_HEADER) {
        arriving_->has_header = true;
        arriving_->bytes_left = frame.payload.properties.body_size;
        arriving_->too_large = frame.payload.properties.body_size > queue_.message_bytes_max;
        if (arriving_->too_large) {
            complain_of_size(arriving_->bytes_left);
        } else {
            const std::string key = std::move(arriving_->incoming.source);
            take_properties(*static_cast<const amqp_basic_properties_t*>(frame.payload.properties.decoded),
                            key, arriving_->incoming);
        }
    } else if (frame.frame_type == AMQP_FRAME_BODY) {
        const amqp_bytes_t part = frame.payload.body_fragment;
        if (!arriving_->too_large)
            arriving_->incoming.payload.append(static_cast<const char*>(part.bytes), part.len);
        arriving_->bytes_left -= std::min<std::uint64_t>(arriving_->bytes_left, part.len);
    }
    if (arriving_->has_header && arriving_->bytes_left == 0) finish_delivery(incoming);
}

void Consumer::take_method(const amqp_method_t& method, Connection& connection) {
    switch (method.id) {
        case AMQP_BASIC_DELIVER_METHOD:
            if (state_ == State::consuming)
                take_delivery(*static_cast<const amqp_basic_deliver_t*>(method.decoded));
            break;
        case AMQP_BASIC_CANCEL_METHOD:
            if (state_ == State::consuming)
                lose("the server ended the consumer (basic.cancel): the queue was deleted, or its node went",
                     State::closing);
            break;
        case AMQP_CHANNEL_CLOSE_METHOD: {
            lose(close_text(method), State::closed);
            retry_at_ = Steady::now() + backoff_.next();
            connection.send_channel_close_ok(channel_);
            break;
        }
        default:
            break;
    }
}

void Consumer::take_delivery(const amqp_basic_deliver_t& deliver) {
    if (deliver.delivery_tag != first_tag_ + deliveries_.size() || arriving_)
        return lose(fmt::format("the server sent delivery {} out of its order", deliver.delivery_tag),
                    State::closing);
    arriving_ = Arriving{};
    arriving_->incoming.route = row_;
    arriving_->incoming.source = to_string(deliver.routing_key);
}

void Consumer::finish_delivery(std::vector<Incoming>& incoming) {
    const std::uint64_t number = first_number_ + deliveries_.size();
    Arriving arriving = std::move(*arriving_);
    arriving_.reset();
    deliveries_.push_back(Fate::open);
    ++unsettled_;
    arriving.incoming.token = number * rows_ + row_;
    if (arriving.too_large) return settle({arriving.incoming.token, false, {}});
    incoming.push_back(std::move(arriving.incoming));
}

void Consumer::settle(const Settled& settled) {
    const std::uint64_t number = settled.token / rows_;
    if (number < first_number_ || number - first_number_ >= deliveries_.size()) return;
    Fate& fate = deliveries_[number - first_number_];
    if (fate != Fate::open) return;
    fate = settled.kept ? Fate::kept : Fate::rejected;
    settled_numbers_.push_back(number);
    --unsettled_;
}

void Consumer::answer(Connection& connection) {
    if (settled_numbers_.empty()) return;
    std::uint64_t kept_up_to = 0, kept = 0;
    while (!deliveries_.empty() && deliveries_.front() != Fate::open) {
        if (deliveries_.front() == Fate::rejected) connection.reject(channel_, first_tag_);
        if (deliveries_.front() == Fate::kept) {
            kept_up_to = first_tag_;
            ++kept;
        }
        deliveries_.pop_front();
        ++first_tag_;
        ++first_number_;
    }
    // `multiple` takes all that is unanswered up to the tag; what was rejected has been answered just now.
    if (kept > 0) connection.acknowledge(channel_, kept_up_to, kept > 1);
    // Those behind one that is still open are answered one by one.
    for (const std::uint64_t number : settled_numbers_) {
        if (number < first_number_) continue;
        Fate& fate = deliveries_[number - first_number_];
        const std::uint64_t tag = first_tag_ + (number - first_number_);
        if (fate == Fate::kept) connection.acknowledge(channel_, tag, false);
        if (fate == Fate::rejected) connection.reject(channel_, tag);
        fate = Fate::answered;
    }
    settled_numbers_.clear();
    backoff_.reset();
}

void Consumer::complain_of_size(std::uint64_t bytes) const {
    static log::RateLimit limit(60'000);
    std::uint64_t suppressed = 0;
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now().time_since_epoch());
    if (limit.allow(now.count(), suppressed))
        log::warn(
            fmt::format("amqp: a message of {} bytes is rejected, message_bytes_max is {} queue={} "
                        "held_back={}",
                        bytes, queue_.message_bytes_max, queue_.name, suppressed));
}

}  // namespace sluice::bridge::amqp
