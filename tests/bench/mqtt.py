"""The few MQTT 3.1.1 packets that the load needs, as bytes, and a socket that has logged in."""

import socket
import struct

CONNACK_OK, SUBACK, PINGRESP = 0x20, 0x90, 0xd0


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def length(number):
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(out)


def packet(first, body):
    return bytes([first]) + length(len(body)) + body


def connect(client_id, clean):
    return packet(0x10, text("MQTT") + bytes([4, 2 if clean else 0]) + struct.pack(">H", 600) + text(client_id))


def subscribe(topic, qos):
    return packet(0x82, b"\x00\x01" + text(topic) + bytes([qos]))


def publish(topic, payload, qos=0, packet_id=0):
    identifier = struct.pack(">H", packet_id) if qos else b""
    return packet(0x30 | qos << 1, text(topic) + identifier + payload)


def expect(connection, kind, size):
    answer = b""
    while len(answer) < size:
        more = connection.recv(size - len(answer))
        if not more:
            raise ConnectionError("the broker has closed the connection")
        answer += more
    if answer[0] != kind or answer[-1] >= 0x80:
        raise ConnectionError(f"unexpected answer {answer.hex()}")


def client(port, client_id, topic=None, qos=0, clean=True):
    """A logged-in, non-blocking socket, subscribed to topic if one is given."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(connect(client_id, clean))
    expect(connection, CONNACK_OK, 4)
    if topic:
        connection.sendall(subscribe(topic, qos))
        expect(connection, SUBACK, 5)
    connection.setblocking(False)
    return connection
