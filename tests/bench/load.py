"""Closed-loop load: messages of one size, so that counting bytes is counting messages and the generator stays cheap."""

import selectors
import struct
import time

import mqtt

BURST = 20  # messages that a publisher sends at a time
DEADLINE_S = 120


class Stalled(Exception):
    """The broker has not delivered in time."""


class Receiver:
    """Counts PUBLISH packets of one size; with QoS 1 acknowledges each of them."""

    def __init__(self, connection, size, id_offset=None):
        self.connection, self.size, self.id_offset = connection, size, id_offset
        self.rest, self.count = b"", 0

    def read(self):
        data = self.rest + self.connection.recv(1 << 18)
        whole = len(data) // self.size
        self.rest = data[whole * self.size:]
        self.count += whole
        if self.id_offset is not None and whole:
            ids = (data[start:start + 2] for start in range(self.id_offset, whole * self.size, self.size))
            self.connection.sendall(b"".join(b"\x40\x02" + packet_id for packet_id in ids))
        return whole

    def finish(self):
        """Returns when the broker has read the last acknowledgement: a session may be taken up again."""
        self.connection.setblocking(True)
        self.connection.sendall(b"\xc0\x00")
        mqtt.expect(self.connection, mqtt.PINGRESP, 2)


class Acks:
    """Counts the PUBACKs of a publisher."""

    def __init__(self, connection):
        self.connection, self.rest, self.count = connection, 0, 0

    def read(self):
        self.rest += len(self.connection.recv(1 << 16))
        whole, self.rest = divmod(self.rest, 4)
        self.count += whole
        return whole


def bursts(topic, payload, qos):
    """One burst as bytes; the packet ids repeat in each burst, which closed loop allows."""
    return b"".join(mqtt.publish(topic, payload, qos, number) for number in range(1, BURST + 1))


def send_all(connection, data):
    connection.setblocking(True)
    connection.sendall(data)
    connection.setblocking(False)


def run_qos0(publishers, receivers, data, bursts_total, window):
    """Publishers take turns; at most `window` deliveries per receiver are under way. Returns deliveries."""
    selector = selectors.DefaultSelector()
    for receiver in receivers:
        selector.register(receiver.connection, selectors.EVENT_READ, receiver)
    sent, received, end = 0, 0, time.monotonic() + DEADLINE_S
    wanted = bursts_total * BURST * len(receivers)
    while received < wanted:
        while sent < bursts_total and sent * BURST - received // len(receivers) < window:
            send_all(publishers[sent % len(publishers)], data)
            sent += 1
        for key, _ in selector.select(timeout=5):
            received += key.data.read()
        if time.monotonic() > end:
            raise Stalled(f"{received} of {wanted} messages arrived in {DEADLINE_S} s")
    selector.close()
    return received


def run_qos1_pairs(pairs, bursts_per_pair):
    """pairs: (Acks, Receiver, bytes of a burst). Each publisher sends a burst when the last one is acknowledged."""
    selector = selectors.DefaultSelector()
    acked = {}
    for acks, receiver, data in pairs:
        acked[acks] = (data, [1])
        selector.register(acks.connection, selectors.EVENT_READ, acks)
        selector.register(receiver.connection, selectors.EVENT_READ, receiver)
        send_all(acks.connection, data)
    received, wanted, end = 0, len(pairs) * bursts_per_pair * BURST, time.monotonic() + DEADLINE_S
    while received < wanted or any(acks.count < bursts_per_pair * BURST for acks in acked):
        for key, _ in selector.select(timeout=5):
            whole = key.data.read()
            if key.data not in acked:
                received += whole
                continue
            data, sent = acked[key.data]
            if key.data.count == sent[0] * BURST and sent[0] < bursts_per_pair:
                send_all(key.data.connection, data)
                sent[0] += 1
        if time.monotonic() > end:
            raise Stalled(f"{received} of {wanted} messages arrived in {DEADLINE_S} s")
    selector.close()
    for _, receiver, _ in pairs:
        receiver.finish()
    return received


def fan_in(port, messages, publishers=100, payload=64):
    data = bursts("bench/in", b"x" * payload, 0)
    receiver = Receiver(mqtt.client(port, "bench-sub", "bench/in"), len(data) // BURST)
    senders = [mqtt.client(port, f"bench-pub-{number}") for number in range(publishers)]
    return run_qos0(senders, [receiver], data, messages // BURST, 4000)


def fan_out(port, messages, receivers=200, payload=64):
    data = bursts("bench/out", b"x" * payload, 0)
    size = len(data) // BURST
    subscribers = [Receiver(mqtt.client(port, f"bench-sub-{n}", "bench/out"), size) for n in range(receivers)]
    return run_qos0([mqtt.client(port, "bench-pub")], subscribers, data, messages // receivers // BURST, 100)


def pairs(port, messages, count=50, payload=256, clean=True):
    made = []
    for number in range(count):
        topic = f"bench/pair/{number:04}"
        data = bursts(topic, b"x" * payload, 1)
        size = len(data) // BURST
        id_offset = size - payload - struct.calcsize(">H")
        receiver = mqtt.client(port, f"bench-sub-{number}", topic, 1, clean)
        made.append((Acks(mqtt.client(port, f"bench-pub-{number}")), Receiver(receiver, size, id_offset), data))
    return run_qos1_pairs(made, max(1, messages // count // BURST))


def idle(port, connections):
    """Sockets that have logged in and stay silent."""
    return [mqtt.client(port, f"bench-idle-{number}", f"idle/{number}") for number in range(connections)]
