/// Clients that are not ours, one after the other through the same exchange: python3-paho-mqtt, MQTT.js in
/// Node.js and in a browser, Paho C, Mosquitto's request/response.
#include <MQTTClient.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/sluiced_process.hpp"
#include "tests/system/mosquitto.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {
namespace {

enum Door : std::size_t { tcp, websocket };
constexpr auto patience = std::chrono::seconds(100);

class Foreign : public ::testing::Test {
  protected:
    void SetUp() override {
        const std::string door = "[[listener]]\naddress = \"127.0.0.1\"\nport = 0\nanonymous = true\n";
        ASSERT_TRUE(broker_.start(
            fmt::format("[broker]\ndata_dir = \"{}/data\"\nthreads = 2\n{}{}transport = \"websocket\"\n",
                        folder_.path().string(), door, door)))
            << broker_.log();
    }
    void expect_ok(const Words& command) {
        const CommandResult result = run_command(command, patience);
        EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
        EXPECT_EQ(result.out, "ok\n");
    }
    std::string url(const std::string& scheme, Door door) const {
        return fmt::format("{}://127.0.0.1:{}", scheme, broker_.port(door));
    }
    /// ./dev test puts MQTT.js there where npm is.
    static std::string node_modules() { return source("build/npm/node_modules"); }
    static bool has_mqtt_js() { return std::filesystem::exists(node_modules() + "/mqtt"); }

    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_F(Foreign, python) {
    expect_ok({"/usr/bin/python3", source("tests/system/foreign/paho_python.py"),
               std::to_string(broker_.port(tcp)), std::to_string(broker_.port(websocket))});
}

TEST_F(Foreign, mqtt_js) {
    if (!has_mqtt_js()) GTEST_SKIP() << "MQTT.js is not here: it comes from npm";
    expect_ok({"node", source("tests/system/foreign/mqtt_js.mjs"), node_modules(), url("mqtt", tcp),
               url("ws", websocket)});
}

TEST_F(Foreign, browser) {
    if (!has_mqtt_js()) GTEST_SKIP() << "MQTT.js is not here: it comes from npm";
    if (run_command({"chromium", "--version"}).exit_code != 0) GTEST_SKIP() << "Chromium is not here";
    expect_ok({"/usr/bin/python3", source("tests/system/foreign/browser.py"), node_modules(),
               url("ws", websocket) + "/mqtt"});
}

/// Asks again until somebody has subscribed to the request topic: the answering side tells nobody when.
TEST_F(Foreign, mosquitto_request_and_response) {
    const std::string port = std::to_string(broker_.port(tcp));
    ChildProcess answering(
        Words{"sh", "-c",
              fmt::format("mosquitto_sub -p {0} -V mqttv5 -t ask -C 1 -F '%R' | while read -r "
                          "to; do mosquitto_pub -p {0} -V mqttv5 -t \"$to\" -m yes; done",
                          port)});
    std::string answer;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (answer.empty() && std::chrono::steady_clock::now() < deadline) {
        answer = run_command({"mosquitto_rr", "-p", port, "-V", "mqttv5", "-t", "ask", "-e", "answer", "-m",
                              "question", "-W", "2"})
                     .out;
    }
    EXPECT_EQ(answer, "yes\n");
}

/// It first asks by a protocol level of its own to be treated as a bridge; told no, it must come again as
/// anybody.
TEST_F(Foreign, mosquitto_bridge) {
    const std::string socket = folder_.path() / "mosquitto.sock", file = folder_.path() / "mosquitto.conf";
    std::ofstream(file) << fmt::format(
        "user root\nlistener 0 {}\nallow_anonymous true\npersistence false\nconnection b\naddress "
        "127.0.0.1:{}\n"
        "topic up/# out 1\nnotifications false\nrestart_timeout 1\n",
        socket, broker_.port(tcp));
    MosquittoSub upstream(Words{"-p", std::to_string(broker_.port(tcp)), "-t", "up/#", "-q", "1"});
    ASSERT_TRUE(upstream.subscribed());
    ChildProcess mosquitto(Words{"sh", "-c", "PATH=$PATH:/usr/sbin; exec mosquitto -c \"$0\" 2>&1", file});
    // Queued there until the bridge is up, once the socket answers. As root it would else become another
    // user.
    const auto deadline = std::chrono::steady_clock::now() + patience / 4;
    while (mosquitto_pub({"--unix", socket, "-t", "up/t", "-m", "through", "-q", "1"}).exit_code != 0 &&
           std::chrono::steady_clock::now() < deadline) {
    }
    EXPECT_EQ(upstream.next(patience / 2), "up/t through");
    EXPECT_TRUE(broker_.wait_for_log("protocol version")) << broker_.log();
    mosquitto.send_signal(SIGTERM);
}

/// Paho C, the synchronous client, both versions.
class PahoC : public Foreign, public ::testing::WithParamInterface<int> {};

TEST_P(PahoC, messages_come_back_at_every_qos) {
    const bool v5 = GetParam() == MQTTVERSION_5;
    MQTTClient client = nullptr;
    MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
    create.MQTTVersion = GetParam();
    ASSERT_EQ(MQTTClient_createWithOptions(&client, url("tcp", tcp).c_str(), "paho-c",
                                           MQTTCLIENT_PERSISTENCE_NONE, nullptr, &create),
              MQTTCLIENT_SUCCESS);
    if (v5) {
        MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer5;
        const MQTTResponse connected = MQTTClient_connect5(client, &options, nullptr, nullptr);
        EXPECT_EQ(connected.reasonCode, MQTTREASONCODE_SUCCESS);
        MQTTResponse_free(connected);
    } else {
        MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
        options.MQTTVersion = GetParam();
        ASSERT_EQ(MQTTClient_connect(client, &options), MQTTCLIENT_SUCCESS);
    }
    for (int qos = 0; qos <= 2; ++qos) {
        const std::string topic = fmt::format("c/{}", qos), text = fmt::format("message {}", qos);
        if (v5) {
            MQTTResponse granted = MQTTClient_subscribe5(client, topic.c_str(), qos, nullptr, nullptr);
            EXPECT_EQ(granted.reasonCode, qos);
            MQTTResponse_free(granted);
            MQTTClient_message message = MQTTClient_message_initializer;
            message.payload = const_cast<char*>(text.data());
            message.payloadlen = static_cast<int>(text.size());
            message.qos = qos;
            EXPECT_EQ(MQTTClient_publishMessage5(client, topic.c_str(), &message, nullptr).reasonCode, 0);
        } else {
            ASSERT_EQ(MQTTClient_subscribe(client, topic.c_str(), qos), MQTTCLIENT_SUCCESS);
            ASSERT_EQ(MQTTClient_publish(client, topic.c_str(), static_cast<int>(text.size()), text.data(),
                                         qos, 0, nullptr),
                      MQTTCLIENT_SUCCESS);
        }
        char* name = nullptr;
        int name_bytes = 0;
        MQTTClient_message* got = nullptr;
        ASSERT_EQ(MQTTClient_receive(client, &name, &name_bytes, &got, 20'000), MQTTCLIENT_SUCCESS);
        ASSERT_TRUE(got) << "nothing came at QoS " << qos;
        EXPECT_EQ(std::string(name), topic);
        EXPECT_EQ(std::string(static_cast<char*>(got->payload), static_cast<std::size_t>(got->payloadlen)),
                  text);
        EXPECT_EQ(got->qos, qos);
        MQTTClient_freeMessage(&got);
        MQTTClient_free(name);
    }
    EXPECT_EQ(v5 ? MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, nullptr)
                 : MQTTClient_disconnect(client, 1000),
              MQTTCLIENT_SUCCESS);
    MQTTClient_destroy(&client);
}
INSTANTIATE_TEST_SUITE_P(Versions, PahoC,
                         ::testing::Values(MQTTVERSION_3_1, MQTTVERSION_3_1_1, MQTTVERSION_5));

}  // namespace
}  // namespace sluice::test
