#include "tests/contract/mqtt_peer.hpp"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

namespace sluice::bridge::test {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

void check(int code, const char* what) {
    if (code != MQTTCLIENT_SUCCESS) throw std::runtime_error(std::string(what) + ": " + std::to_string(code));
}

MQTTLenString borrow(const std::string& text) {
    return {static_cast<int>(text.size()), const_cast<char*>(text.data())};
}

std::string text_of(const MQTTLenString& text) {
    return {text.data, static_cast<std::size_t>(text.len)};
}

class PropertyList {
  public:
    ~PropertyList() { MQTTProperties_free(&list_); }
    void text(MQTTPropertyCodes code, const std::string& value) {
        if (value.empty()) return;
        MQTTProperty property{};
        property.identifier = code;
        property.value.data = borrow(value);
        MQTTProperties_add(&list_, &property);
    }
    void user(const std::string& name, const std::string& value) {
        MQTTProperty property{};
        property.identifier = MQTTPROPERTY_CODE_USER_PROPERTY;
        property.value.data = borrow(name);
        property.value.value = borrow(value);
        MQTTProperties_add(&list_, &property);
    }
    void number(MQTTPropertyCodes code, unsigned value) {
        MQTTProperty property{};
        property.identifier = code;
        if (code == MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR) {
            property.value.byte = static_cast<unsigned char>(value);
        } else {
            property.value.integer4 = value;
        }
        MQTTProperties_add(&list_, &property);
    }
    MQTTProperties* get() { return &list_; }

  private:
    MQTTProperties list_ = MQTTProperties_initializer;
};

MqttClient::Message to_message(const char* topic, int topic_bytes, const MQTTClient_message& from) {
    MqttClient::Message message{
        .topic = topic_bytes > 0 ? std::string(topic, topic_bytes) : topic,
        .payload = {static_cast<const char*>(from.payload), static_cast<std::size_t>(from.payloadlen)},
        .qos = from.qos,
        .retain = from.retained != 0};
    for (int i = 0; i < from.properties.count; ++i) {
        const MQTTProperty& property = from.properties.array[i];
        switch (property.identifier) {
            case MQTTPROPERTY_CODE_CONTENT_TYPE:
                message.content_type = text_of(property.value.data);
                break;
            case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
                message.response_topic = text_of(property.value.data);
                break;
            case MQTTPROPERTY_CODE_CORRELATION_DATA:
                message.correlation_data = text_of(property.value.data);
                break;
            case MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR:
                message.is_text = property.value.byte != 0;
                break;
            case MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL:
                message.expiry_s = static_cast<int>(property.value.integer4);
                break;
            case MQTTPROPERTY_CODE_USER_PROPERTY:
                message.user_properties.emplace_back(text_of(property.value.data),
                                                     text_of(property.value.value));
                break;
            default:
                break;
        }
    }
    return message;
}

Received to_received(const MqttClient::Message& message) {
    Received received{.payload = message.payload, .key = message.topic, .headers = {}};
    if (!message.content_type.empty()) received.headers["@content_type"] = message.content_type;
    if (!message.response_topic.empty()) received.headers["@response_topic"] = message.response_topic;
    if (!message.correlation_data.empty()) received.headers["@correlation_data"] = message.correlation_data;
    if (message.is_text) received.headers["@is_text"] = "1";
    if (message.expiry_s > 0) received.headers["@expiry_s"] = std::to_string(message.expiry_s);
    if (message.retain) received.headers["@retain"] = "1";
    received.headers["@qos"] = std::to_string(message.qos);
    for (const auto& [name, value] : message.user_properties) received.headers[name] += value;
    return received;
}

}  // namespace

MqttClient::MqttClient(int port, const std::string& client_id) {
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    create.MQTTVersion = MQTTVERSION_5;
    const std::string uri = "tcp://127.0.0.1:" + std::to_string(port);
    check(MQTTClient_createWithOptions(&client_, uri.c_str(), client_id.c_str(), MQTTCLIENT_PERSISTENCE_NONE,
                                       nullptr, &create),
          "create");
    MQTTClient_connectOptions connect = MQTTClient_connectOptions_initializer5;
    connect.cleanstart = 0;
    PropertyList properties;
    properties.number(MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, 3600);
    const MQTTResponse response = MQTTClient_connect5(client_, &connect, properties.get(), nullptr);
    const int code = response.reasonCode;
    MQTTResponse_free(response);
    check(code, "connect");
}

MqttClient::~MqttClient() {
    MQTTClient_disconnect5(client_, 1000, MQTTREASONCODE_SUCCESS, nullptr);
    MQTTClient_destroy(&client_);
}

void MqttClient::subscribe(const std::string& filter, bool retain_as_published) {
    MQTTSubscribe_options options = MQTTSubscribe_options_initializer;
    options.retainAsPublished = retain_as_published ? 1 : 0;
    const MQTTResponse response = MQTTClient_subscribe5(client_, filter.c_str(), 1, &options, nullptr);
    const int code = response.reasonCode;
    MQTTResponse_free(response);
    if (code != MQTTREASONCODE_GRANTED_QOS_1) throw std::runtime_error("subscribe: " + std::to_string(code));
}

void MqttClient::publish(const Message& from) {
    MQTTClient_message message = MQTTClient_message_initializer;
    message.payload = const_cast<char*>(from.payload.data());
    message.payloadlen = static_cast<int>(from.payload.size());
    message.qos = from.qos;
    message.retained = from.retain ? 1 : 0;
    PropertyList properties;
    properties.text(MQTTPROPERTY_CODE_CONTENT_TYPE, from.content_type);
    properties.text(MQTTPROPERTY_CODE_RESPONSE_TOPIC, from.response_topic);
    properties.text(MQTTPROPERTY_CODE_CORRELATION_DATA, from.correlation_data);
    if (from.is_text) properties.number(MQTTPROPERTY_CODE_PAYLOAD_FORMAT_INDICATOR, 1);
    if (from.expiry_s > 0)
        properties.number(MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL, static_cast<unsigned>(from.expiry_s));
    for (const auto& [name, value] : from.user_properties) properties.user(name, value);
    message.properties = *properties.get();
    MQTTClient_deliveryToken token = 0;
    const MQTTResponse response = MQTTClient_publishMessage5(client_, from.topic.c_str(), &message, &token);
    const int code = response.reasonCode;
    MQTTResponse_free(response);
    check(code, "publish");
    if (from.qos > 0) check(MQTTClient_waitForCompletion(client_, token, 20'000), "publish");
}

std::optional<MqttClient::Message> MqttClient::receive(milliseconds timeout) {
    char* topic = nullptr;
    int topic_bytes = 0;
    MQTTClient_message* message = nullptr;
    MQTTClient_receive(client_, &topic, &topic_bytes, &message, static_cast<unsigned long>(timeout.count()));
    if (!message) return std::nullopt;
    auto result = to_message(topic, topic_bytes, *message);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
    return result;
}

MqttPeer::MqttPeer(std::unique_ptr<sluice::test::ChildProcess> process, Ports ports, std::string folder)
    : process_(std::move(process)), ports_(ports), folder_(std::move(folder)) {}

MqttPeer::~MqttPeer() {
    process_.reset();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
}

void MqttPeer::configure(SettingsUnderTest& settings) {
    settings.spec.origin = "gateway-1";
    settings.bridge("servers", std::vector<std::string>{address()});
    settings.bridge("keep_alive", std::int64_t{2000});
    settings.bridge("connect_timeout", std::int64_t{5000});
    settings.bridge("confirm_timeout", std::int64_t{3000});
}

void MqttPeer::configure_place(SettingsUnderTest& settings, const std::string& place) {
    MqttClient(ports_.plain, "observer-" + place).subscribe(place + "/#", /*retain_as_published=*/true);
    settings.route("topic", place + "/{topic}");
}

/// The broker's list of rights denies what ends in "plant/refused".
void MqttPeer::configure_refusal(SettingsUnderTest& settings, const std::string& place) {
    configure_place(settings, place);
}

std::vector<Received> MqttPeer::receive(const std::string& place, std::size_t count) {
    MqttClient client(ports_.plain, "observer-" + place);
    auto& all = received_[place];
    const auto deadline = Steady::now() + std::chrono::seconds(20);
    while (Steady::now() < deadline) {
        if (const auto message = client.receive(milliseconds(100))) {
            all.push_back(to_received(*message));
        } else if (all.size() >= count) {
            break;
        }
    }
    return all;
}

std::unique_ptr<Peer> start_mqtt_peer(std::string& why) {
    std::string folder = (std::filesystem::temp_directory_path() / "sluice-mosquitto-XXXXXX").string();
    if (!::mkdtemp(folder.data())) throw std::runtime_error("mkdtemp");
    auto process = std::make_unique<sluice::test::ChildProcess>(
        std::vector<std::string>{"python3", SLUICE_SOURCE_DIR "/tests/tools/mosquitto_node.py", folder,
                                 SLUICE_SOURCE_DIR "/certs/make-dev-certs"});
    const std::string line = process->read_line(std::chrono::seconds(60)).value_or("no answer");
    MqttPeer::Ports ports;
    if (std::sscanf(line.c_str(), "ready plain=%d tls=%d mutual=%d", &ports.plain, &ports.tls,
                    &ports.mutual) != 3) {
        why = "the Mosquitto broker did not start (is mosquitto installed?): " + line;
        return nullptr;
    }
    return std::make_unique<MqttPeer>(std::move(process), ports, folder);
}

}  // namespace sluice::bridge::test
