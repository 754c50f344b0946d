#include "tests/contract/amqp_peer.hpp"

#include <amqp_tcp_socket.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "tests/contract/certificates.hpp"

namespace sluice::bridge::test {
namespace {

using Steady = std::chrono::steady_clock;

std::string text_of(amqp_bytes_t bytes) {
    return {static_cast<const char*>(bytes.bytes), bytes.len};
}

std::string text_of(const amqp_field_value_t& value) {
    switch (value.kind) {
        case AMQP_FIELD_KIND_UTF8:
        case AMQP_FIELD_KIND_BYTES:
            return text_of(value.value.bytes);
        case AMQP_FIELD_KIND_I32:
            return std::to_string(value.value.i32);
        case AMQP_FIELD_KIND_I64:
            return std::to_string(value.value.i64);
        case AMQP_FIELD_KIND_BOOLEAN:
            return value.value.boolean ? "true" : "false";
        default:
            return "?";
    }
}

void take_properties(const amqp_basic_properties_t& from, std::map<std::string, std::string>& to) {
    if (from._flags & AMQP_BASIC_CONTENT_TYPE_FLAG) to["@content_type"] = text_of(from.content_type);
    if (from._flags & AMQP_BASIC_CORRELATION_ID_FLAG) to["@correlation_id"] = text_of(from.correlation_id);
    if (from._flags & AMQP_BASIC_EXPIRATION_FLAG) to["@expiration"] = text_of(from.expiration);
    if (from._flags & AMQP_BASIC_DELIVERY_MODE_FLAG)
        to["@delivery_mode"] = std::to_string(from.delivery_mode);
    if (from._flags & AMQP_BASIC_TIMESTAMP_FLAG) to["@timestamp"] = std::to_string(from.timestamp);
    for (int i = 0; i < from.headers.num_entries; ++i)
        to[text_of(from.headers.entries[i].key)] = text_of(from.headers.entries[i].value);
}

}  // namespace

AmqpClient::AmqpClient(int port) : state_(amqp_new_connection()) {
    amqp_socket_t* socket = amqp_tcp_socket_new(state_);
    if (amqp_socket_open(socket, "127.0.0.1", port) != AMQP_STATUS_OK)
        throw std::runtime_error("cannot connect to the node");
    amqp_login(state_, "/", 0, AMQP_DEFAULT_FRAME_SIZE, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    amqp_channel_open(state_, 1);
    if (amqp_get_rpc_reply(state_).reply_type != AMQP_RESPONSE_NORMAL)
        throw std::runtime_error("cannot log in to the node");
}

AmqpClient::~AmqpClient() {
    amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(state_);
}

void AmqpClient::make_queue(const std::string& name, const std::string& exchange, const std::string& key,
                            const amqp_table_t& arguments) {
    amqp_queue_declare(state_, 1, amqp_cstring_bytes(name.c_str()), 0, 1, 0, 0, arguments);
    if (!exchange.empty())
        amqp_queue_bind(state_, 1, amqp_cstring_bytes(name.c_str()), amqp_cstring_bytes(exchange.c_str()),
                        amqp_cstring_bytes(key.c_str()), amqp_empty_table);
    if (amqp_get_rpc_reply(state_).reply_type != AMQP_RESPONSE_NORMAL)
        throw std::runtime_error("cannot make the queue " + name);
}

void AmqpClient::delete_queue(const std::string& name) {
    amqp_queue_delete(state_, 1, amqp_cstring_bytes(name.c_str()), 0, 0);
    if (amqp_get_rpc_reply(state_).reply_type != AMQP_RESPONSE_NORMAL)
        throw std::runtime_error("cannot delete the queue " + name);
}

int AmqpClient::depth(const std::string& queue) {
    const auto* declared =
        amqp_queue_declare(state_, 1, amqp_cstring_bytes(queue.c_str()), 1, 0, 0, 0, amqp_empty_table);
    return declared ? static_cast<int>(declared->message_count) : -1;
}

void AmqpClient::publish(const std::string& key, const std::string& payload,
                         const amqp_basic_properties_t& properties, const std::string& exchange) {
    amqp_confirm_select(state_, 1);
    amqp_basic_publish(state_, 1, amqp_cstring_bytes(exchange.c_str()), amqp_cstring_bytes(key.c_str()), 0, 0,
                       &properties, {payload.size(), const_cast<char*>(payload.data())});
    amqp_frame_t frame{};
    do {
        if (amqp_simple_wait_frame(state_, &frame) != AMQP_STATUS_OK)
            throw std::runtime_error("the node confirms nothing");
    } while (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != AMQP_BASIC_ACK_METHOD);
}

void AmqpClient::make_exchange(const std::string& name) {
    amqp_exchange_declare(state_, 1, amqp_cstring_bytes(name.c_str()), amqp_cstring_bytes("topic"), 0, 1, 0,
                          0, amqp_empty_table);
}

void AmqpClient::delete_exchange(const std::string& name) {
    amqp_exchange_delete(state_, 1, amqp_cstring_bytes(name.c_str()), 0);
    if (amqp_get_rpc_reply(state_).reply_type != AMQP_RESPONSE_NORMAL)
        throw std::runtime_error("cannot delete the exchange " + name);
}

bool AmqpClient::get(const std::string& queue, Received& received) {
    amqp_maybe_release_buffers(state_);
    const auto reply = amqp_basic_get(state_, 1, amqp_cstring_bytes(queue.c_str()), 1);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL || reply.reply.id != AMQP_BASIC_GET_OK_METHOD) return false;
    received.key = text_of(static_cast<const amqp_basic_get_ok_t*>(reply.reply.decoded)->routing_key);
    amqp_message_t message{};
    if (amqp_read_message(state_, 1, &message, 0).reply_type != AMQP_RESPONSE_NORMAL) return false;
    received.payload = text_of(message.body);
    take_properties(message.properties, received.headers);
    amqp_destroy_message(&message);
    return true;
}

AmqpPeer::AmqpPeer(std::unique_ptr<sluice::test::ChildProcess> process, Doors doors, std::string folder)
    : process_(std::move(process)), doors_(std::move(doors)), folder_(std::move(folder)) {}

AmqpPeer::~AmqpPeer() {
    process_.reset();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
}

void AmqpPeer::configure(SettingsUnderTest& settings) {
    settings.bridge("servers", std::vector<std::string>{"127.0.0.1:" + std::to_string(doors_.plain)});
    settings.bridge("heartbeat", std::int64_t{1000});
    settings.bridge("connect_timeout", std::int64_t{5000});
    settings.bridge("confirm_timeout", std::int64_t{3000});
}

void AmqpPeer::configure_place(SettingsUnderTest& settings, const std::string& place) {
    AmqpClient client(doors_.plain);
    client.make_queue(place, "amq.topic", place + ".#");
    settings.route("routing_key", place + ".{topic}");
}

std::vector<Received> AmqpPeer::receive(const std::string& place, std::size_t count) {
    AmqpClient client(doors_.plain);
    auto& all = received_[place];
    const auto deadline = Steady::now() + std::chrono::seconds(20);
    while (Steady::now() < deadline) {
        Received one;
        if (client.get(place, one)) {
            all.push_back(std::move(one));
        } else if (all.size() >= count) {
            break;
        }
    }
    return all;
}

void AmqpPeer::configure_refusal(SettingsUnderTest& settings, const std::string& place) {
    AmqpClient client(doors_.plain);  // the keys of other topics lead nowhere
    client.make_queue(place, "amq.topic", place + ".plant.a");
    settings.route("routing_key", place + ".{topic}");
}

std::string AmqpPeer::ask(const std::string& command) {
    return process_->ask(command, std::chrono::seconds(150));
}

std::unique_ptr<Peer> start_amqp_peer(std::string& why) {
    std::string folder = (std::filesystem::temp_directory_path() / "sluice-rabbitmq-XXXXXX").string();
    if (!::mkdtemp(folder.data())) throw std::runtime_error("mkdtemp");
    auto process = std::make_unique<sluice::test::ChildProcess>(
        std::vector<std::string>{"python3", SLUICE_SOURCE_DIR "/tests/tools/rabbitmq_node.py", folder,
                                 "--heartbeat", "60", "--tls", certificates().path(), "--namespace"});
    const std::string line = process->read_line(std::chrono::seconds(150)).value_or("no answer");
    auto ready = ready_line(line);
    if (ready.empty()) {
        why = "the RabbitMQ node did not start (is rabbitmq-server installed?): " + line;
        return nullptr;
    }
    AmqpPeer::Doors doors{std::stoi(ready["amqp"]), std::stoi(ready["amqps"]),
                          FrailWay{ready["namespace"], ready["outside"]}};
    return std::make_unique<AmqpPeer>(std::move(process), std::move(doors), folder);
}

}  // namespace sluice::bridge::test
