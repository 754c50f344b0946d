#!/usr/bin/env python3
"""An MQTT 5 client that logs in by SCRAM-SHA-256 and authenticates again; Python's standard library alone.

  scram_client.py PORT login USER PASSWORD [METHOD]     CONNECT and the exchange
  scram_client.py PORT reauth USER PASSWORD SECOND      the same, then again with the password SECOND, while it publishes
  scram_client.py PORT hold USER PASSWORD               logs in, waits for a line on standard input, authenticates again
  scram_client.py PORT salt USER                        what the server says its salt and iterations are
  scram_client.py TERMINAL ask LINE... -- COMMAND...    runs COMMAND at a terminal of its own and types the lines

Each event is a line: "connack 0 verified", "disconnect 135 invalid-proof", "auth 0 verified", "puback 0", "closed".
"""

import base64
import hashlib
import hmac
import os
import pty
import secrets
import socket
import sys

CONNECT, CONNACK, PUBLISH, PUBACK, DISCONNECT, AUTH = 1, 2, 3, 4, 14, 15
METHOD, DATA, REASON = 0x15, 0x16, 0x1F
NAMES = {CONNACK: "connack", PUBACK: "puback", DISCONNECT: "disconnect", AUTH: "auth"}


def varint(number):
    out = b""
    while True:
        number, low = number >> 7, number & 0x7F
        out += bytes([low | (0x80 if number else 0)])
        if not number:
            return out


def data(value):
    value = value.encode() if isinstance(value, str) else value
    return len(value).to_bytes(2, "big") + value


def properties(pairs):
    run = b"".join(bytes([key]) + data(value) for key, value in pairs)
    return varint(len(run)) + run


def read_properties(body):
    length, at, shift = 0, 0, 0
    while True:
        byte = body[at]
        length |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    out, end = {}, at + length
    widths = {0x11: 4, 0x27: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x28: 1, 0x29: 1, 0x2A: 1}
    while at < end:
        key, at = body[at], at + 1
        size = widths.get(key)
        if size is None:
            size = int.from_bytes(body[at:at + 2], "big")
            at += 2
        out[key] = body[at:at + size]
        at += size
    return out


class Scram:
    """The client's side of RFC 5802, without channel binding."""

    def __init__(self, user, password):
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.password = password.encode()
        self.nonce = base64.b64encode(secrets.token_bytes(18)).decode()
        self.bare = f"n={name},r={self.nonce}"
        self.expected = b""

    def first(self):
        return "n,," + self.bare

    def final(self, challenge):
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce), challenge
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        without_proof = "c=biws,r=" + fields["r"]
        message = f"{self.bare},{challenge},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.expected = b"v=" + base64.b64encode(hmac.digest(server_key, message, "sha256"))
        return without_proof + ",p=" + base64.b64encode(proof).decode()


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.unacknowledged = 0

    def send(self, kind, body, flags=0):
        self.socket.sendall(bytes([kind << 4 | flags]) + varint(len(body)) + body)

    def take(self, count):
        out = b""
        while len(out) < count:
            part = self.socket.recv(count - len(out))
            if not part:
                raise EOFError
            out += part
        return out

    def receive(self):
        """(type, reason code, properties)"""
        kind = self.take(1)[0] >> 4
        length, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = self.take(length)
        if kind in (CONNACK, PUBACK):
            body = body[1:] if kind == CONNACK else body[2:]
        code = body[0] if body else 0
        return kind, code, read_properties(body[1:]) if len(body) > 1 else {}

    def connect(self, method, first):
        head = data("MQTT") + bytes([5, 2, 0, 60])
        self.send(CONNECT, head + properties([(METHOD, method), (DATA, first)]) + data("scram-client"))

    def auth(self, code, method, message):
        self.send(AUTH, bytes([code]) + properties([(METHOD, method), (DATA, message)]))

    def publish(self, number):
        self.unacknowledged += 1
        self.send(PUBLISH, data("t") + number.to_bytes(2, "big") + properties([]) + b"x", flags=2)


def tell(kind, code, found, scram):
    proof = found.get(DATA)
    words = [NAMES.get(kind, str(kind)), str(code)]
    if proof is not None:
        words.append("verified" if scram.expected and proof == scram.expected else "forged")
    if REASON in found:
        words.append(found[REASON].decode())
    print(*words, flush=True)


def exchange(client, scram, method, publish=False):
    """From the server's first answer to its last; True when it let us in."""
    while True:
        try:
            kind, code, found = client.receive()
        except (EOFError, ConnectionResetError):
            print("closed", flush=True)
            return False
        if kind == AUTH and code == 0x18:
            assert found[METHOD].decode() == method
            if publish:
                client.publish(1)
            client.auth(0x18, method, scram.final(found[DATA].decode()))
            continue
        tell(kind, code, found, scram)
        if code >= 0x80:
            continue  # the server closes
        if kind == PUBACK:
            client.unacknowledged -= 1
        else:
            assert found.get(METHOD, b"").decode() == method, found
            return True


def log_in(port, user, password, method="SCRAM-SHA-256"):
    client, scram = Client(port), Scram(user, password)
    client.connect(method, scram.first())
    return client if exchange(client, scram, method) else None


def again(client, user, password, publish):
    scram = Scram(user, password)
    client.auth(0x19, "SCRAM-SHA-256", scram.first())
    return exchange(client, scram, "SCRAM-SHA-256", publish)


def ask_at_terminal(words):
    lines, command = words[:words.index("--")], words[words.index("--") + 1:]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    seen = b""
    try:
        for line in lines:
            asked = seen.count(b": ")
            while seen.count(b": ") <= asked and (part := os.read(terminal, 1000)):
                seen += part
            os.write(terminal, line.encode() + b"\n")
        while part := os.read(terminal, 1000):
            seen += part
    except OSError:  # the other side has closed
        pass
    print(seen.decode().replace("\r\n", "\n"), end="")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main():
    if sys.argv[2] == "ask":
        sys.exit(ask_at_terminal(sys.argv[3:]))
    port, scenario, user, *words = int(sys.argv[1]), *sys.argv[2:]
    if scenario == "login":
        log_in(port, user, *words)
    elif scenario == "reauth":
        client = log_in(port, user, words[0])
        if again(client, user, words[1], publish=True):
            client.publish(2)  # the connection goes on
            while client.unacknowledged:
                tell(*client.receive(), None)
                client.unacknowledged -= 1
    elif scenario == "hold":
        client = log_in(port, user, words[0])
        sys.stdin.readline()
        again(client, user, words[0], publish=False)
    elif scenario == "salt":
        client, scram = Client(port), Scram(user, "")
        client.connect("SCRAM-SHA-256", scram.first())
        print(client.receive()[2][DATA].decode().split(",", 1)[1])


main()
