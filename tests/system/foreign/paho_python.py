#!/usr/bin/env python3
"""python3-paho-mqtt against the broker: paho_python.py TCP_PORT WEBSOCKET_PORT"""

import queue
import sys

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE_S = 20
COUNT = 50


class Client:
    """A connected client, and what it was sent in the order it came."""

    def __init__(self, port, version, client_id, transport="tcp", clean=True, will=None):
        options = {"client_id": client_id, "protocol": version, "transport": transport}
        if version != paho.MQTTv5:
            options["clean_session"] = clean
        if hasattr(paho, "CallbackAPIVersion"):  # paho 2
            self.client = paho.Client(paho.CallbackAPIVersion.VERSION1, **options)
        else:
            self.client = paho.Client(**options)
        self.client.max_inflight_messages_set(COUNT)
        self.inbox, self.connected, self.acknowledged = queue.Queue(), queue.Queue(), queue.Queue()
        self.client.on_connect = lambda *args: self.connected.put(args)
        self.client.on_message = lambda _client, _data, message: self.inbox.put(message)
        self.client.on_subscribe = lambda *args: self.acknowledged.put(args)
        if will:
            self.client.will_set(*will)
        extra = {}
        if version == paho.MQTTv5:
            extra["clean_start"] = clean
            if not clean:
                extra["properties"] = Properties(PacketTypes.CONNECT)
                extra["properties"].SessionExpiryInterval = 3600
        self.client.connect("127.0.0.1", port, keepalive=60, **extra)
        self.client.loop_start()
        _client, _data, flags, code = self.connected.get(timeout=PATIENCE_S)[:4]
        check(int(getattr(code, "value", code)), 0, "the code of CONNACK")
        self.session_present = flags["session present"] if isinstance(flags, dict) else flags.session_present

    def subscribe(self, *args, **kwargs):
        self.client.subscribe(*args, **kwargs)
        self.acknowledged.get(timeout=PATIENCE_S)

    def publish(self, *args, **kwargs):
        self.client.publish(*args, **kwargs).wait_for_publish(PATIENCE_S)

    def next(self):
        return self.inbox.get(timeout=PATIENCE_S)

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        """Without DISCONNECT."""
        self.client._sock_close()
        self.client.loop_stop()


def check(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, expected {wanted!r}")


def every_qos_in_order(port, version, transport, place):
    client = Client(port, version, f"{place}-all", transport)
    client.subscribe(f"{place}/+/#", 2)
    for qos in (0, 1, 2):
        sent = [client.client.publish(f"{place}/q/{qos}", str(i), qos) for i in range(COUNT)]
        for i in range(COUNT):
            message = client.next()
            check((message.topic, message.payload, message.qos), (f"{place}/q/{qos}", str(i).encode(), qos), "a message")
        for one in sent:
            one.wait_for_publish(PATIENCE_S)
    client.end()


def session_retained_will(port, version, transport, place):
    keeper = Client(port, version, f"{place}-keeper", transport, clean=False)
    check(bool(keeper.session_present), False, "session present at first")
    keeper.subscribe([(f"{place}/state", 1), (f"{place}/will", 1), (f"{place}/later", 2)])
    other = Client(port, version, f"{place}-other", transport, will=(f"{place}/will", b"gone", 1, False))
    other.publish(f"{place}/state", b"on", 1, True)
    check(keeper.next().payload, b"on", "what was published")
    keeper.end()
    for i in range(COUNT):
        other.publish(f"{place}/later", str(i), 1 + i % 2)
    other.vanish()
    keeper = Client(port, version, f"{place}-keeper", transport, clean=False)
    # 3.1 has no such flag yet.
    check(bool(keeper.session_present), version != paho.MQTTv31, "session present when it came back")
    texts = [keeper.next().payload.decode() for _ in range(COUNT + 1)]
    # Paho hands a QoS 2 message over when it is released, so the two levels are each in order, not both together.
    for remainder in (0, 1):
        check([text for text in texts if text != "gone" and int(text) % 2 == remainder],
              [str(i) for i in range(remainder, COUNT, 2)], f"what waited of QoS {1 + remainder}")
    if "gone" not in texts:
        raise AssertionError("no will")
    newcomer = Client(port, version, f"{place}-newcomer", transport)
    newcomer.subscribe(f"{place}/#", 1)
    state = newcomer.next()
    check((state.payload, state.retain), (b"on", True), "the retained message")
    newcomer.publish(f"{place}/state", b"", 1, True)
    newcomer.end()
    keeper.end()


def properties(port, transport, place):
    client = Client(port, paho.MQTTv5, f"{place}-properties", transport)
    client.subscribe(f"{place}/request", 1)
    sent = Properties(PacketTypes.PUBLISH)
    sent.ResponseTopic, sent.CorrelationData, sent.ContentType = f"{place}/response", b"42", "text/plain"
    sent.UserProperty = [("unit", "degC"), ("unit", "K")]
    client.publish(f"{place}/request", b"question", 1, properties=sent)
    got = client.next().properties
    check((got.ResponseTopic, got.CorrelationData, got.ContentType, got.UserProperty),
          (f"{place}/response", b"42", "text/plain", [("unit", "degC"), ("unit", "K")]), "properties")
    client.end()


def main():
    for transport, port in (("tcp", int(sys.argv[1])), ("websockets", int(sys.argv[2]))):
        for version in (paho.MQTTv31, paho.MQTTv311, paho.MQTTv5):
            place = f"python-{transport}-{version}"
            every_qos_in_order(port, version, transport, place)
            session_retained_will(port, version, transport, place)
        properties(port, transport, f"python-{transport}")
    print("ok")


if __name__ == "__main__":
    main()
