#!/usr/bin/env python3
"""A front that ends TLS and SASL before kafka_mock, which has neither.

    kafka_front.py HOST:PORT [--tls CERTIFICATE KEY] [--client-ca CA] [--sasl MECHANISM...] [--user NAME]
                             [--password-file FILE]

HOST:PORT is the mock's only broker. Prints "localhost:PORT", its own address. With --sasl a client must log in by one of
the mechanisms PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 (NAME and the password) or OAUTHBEARER (an unsigned token whose "sub"
is NAME and whose "exp" has not come). Then each command on standard input is answered by one line:

    certificate CERTIFICATE KEY   shows another certificate from now on
    drop                          closes all connections
    report                        a JSON object: logins, failures, mechanism, token, client (the certificate's name)

It ends when standard input closes.
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
UNSUPPORTED_MECHANISM, AUTHENTICATION_FAILED = 33, 58
ITERATIONS = 4096


class Refused(Exception):
    """The client is told why, and its connection ends."""


def receive(sock, size):
    data = b""
    while len(data) < size:
        block = sock.recv(size - len(data))
        if not block:
            raise ConnectionError("closed")
        data += block
    return data


def receive_frame(sock):
    size = struct.unpack(">i", receive(sock, 4))[0]
    if size > 100 * 1024 * 1024:  # as Kafka does: that is no Kafka, perhaps the beginning of TLS
        raise ConnectionError("too large")
    return receive(sock, size)


def send_frame(sock, data):
    sock.sendall(struct.pack(">i", len(data)) + data)


def text_field(text):
    return struct.pack(">h", len(text)) + text.encode()


def request_header(frame):
    """(api key, version, correlation id, where the body begins); not for flexible versions."""
    key, version, correlation, size = struct.unpack(">hhih", frame[:10])
    return key, version, correlation, 10 + max(size, 0)


def add_sasl_apis(version, answer):
    """The mock's answer to ApiVersions, with the two requests that only the front knows."""
    added = (SASL_HANDSHAKE, SASL_AUTHENTICATE)
    if version < 3:
        count = struct.unpack(">i", answer[6:10])[0]
        return answer[:6] + struct.pack(">i", count + 2) + b"".join(
            struct.pack(">hhh", api, 0, 1) for api in added) + answer[10:]
    if answer[6] >= 126:
        raise ValueError("more APIs than one byte counts")
    return answer[:6] + bytes([answer[6] + 2]) + b"".join(
        struct.pack(">hhhb", api, 0, 1, 0) for api in added) + answer[7:]


class Plain:
    def __init__(self, front):
        self.front = front

    def step(self, message):
        _, user, password = message.split(b"\0")
        if (user.decode(), password.decode()) != (self.front.user, self.front.password):
            raise Refused("Authentication failed: Invalid username or password")
        return b"", True


class Scram:
    """The server's part of RFC 5802."""

    def __init__(self, front, digest):
        self.front, self.digest = front, digest
        self.salt = os.urandom(16)
        self.first = None

    def hmac(self, key, text):
        return hmac.new(key, text, self.digest).digest()

    def step(self, message):
        fields = dict(part.split(b"=", 1) for part in message.removeprefix(b"n,,").split(b",") if b"=" in part)
        if self.first is None:
            if fields[b"n"].decode() != self.front.user:
                raise Refused("Authentication failed during authentication due to invalid credentials")
            nonce = fields[b"r"] + base64.b64encode(os.urandom(12))
            answer = b"r=%s,s=%s,i=%d" % (nonce, base64.b64encode(self.salt), ITERATIONS)
            self.first = message.removeprefix(b"n,,") + b"," + answer
            return answer, False
        salted = hashlib.pbkdf2_hmac(self.digest, self.front.password.encode(), self.salt, ITERATIONS)
        client_key = self.hmac(salted, b"Client Key")
        signed = self.first + b"," + message[:message.rindex(b",p=")]
        signature = self.hmac(hashlib.new(self.digest, client_key).digest(), signed)
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature)))
        if fields[b"p"] != proof:
            raise Refused("Authentication failed during authentication due to invalid credentials")
        return b"v=" + base64.b64encode(self.hmac(self.hmac(salted, b"Server Key"), signed)), True


class OauthBearer:
    def __init__(self, front):
        self.front = front
        self.failed = False

    def step(self, message):
        if self.failed:  # the client has acknowledged the failure
            raise Refused("Authentication failed: the token is not accepted")
        token = message.split(b"auth=Bearer ", 1)[1].split(b"\x01", 1)[0].decode()
        self.front.note(token=token)
        try:
            part = token.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            good = claims["sub"] == self.front.user and claims["exp"] > time.time()
        except (IndexError, KeyError, ValueError):
            good = False
        if good:
            return b"", True
        self.failed = True
        return b'{"status":"invalid_token"}', False


class Front:
    def __init__(self, args):
        self.upstream = args.upstream.rsplit(":", 1)
        self.mechanisms = args.sasl
        self.user = args.user
        self.password = ""
        if args.password_file:
            with open(args.password_file) as f:
                self.password = f.read().strip()
        self.tls = None
        if args.tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*args.tls)
            if args.client_ca:
                self.tls.load_verify_locations(args.client_ca)
                self.tls.verify_mode = ssl.CERT_REQUIRED
        self.lock = threading.Lock()
        self.facts = {"logins": 0, "failures": 0, "mechanism": "", "token": "", "client": ""}
        self.clients = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def note(self, **facts):
        with self.lock:
            self.facts.update(facts)

    def count(self, fact):
        with self.lock:
            self.facts[fact] += 1

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
                names = dict(pair[0] for pair in (client.getpeercert() or {}).get("subject", ()))
                self.note(client=names.get("commonName", ""))
            with self.lock:
                self.clients.add(client)
            with socket.create_connection((self.upstream[0], int(self.upstream[1]))) as upstream:
                if self.mechanisms:
                    self.log_in(client, upstream)
                self.count("logins")
                self.relay(client, upstream)
        except Refused:
            self.count("failures")
        except ssl.SSLError:
            self.count("failures")
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.clients.discard(client)
            client.close()

    def log_in(self, client, upstream):
        exchange = None
        while True:
            frame = receive_frame(client)
            key, version, correlation, at = request_header(frame)
            head = struct.pack(">i", correlation)
            if key == API_VERSIONS:
                send_frame(upstream, frame)
                send_frame(client, add_sasl_apis(version, receive_frame(upstream)))
            elif key == SASL_HANDSHAKE:
                name = frame[at + 2:].decode()
                self.note(mechanism=name)
                known = name in self.mechanisms
                send_frame(client, head + struct.pack(">hi", 0 if known else UNSUPPORTED_MECHANISM, len(self.mechanisms)) +
                           b"".join(map(text_field, self.mechanisms)))
                if not known:
                    raise Refused(name)
                exchange = (Plain(self) if name == "PLAIN" else OauthBearer(self) if name == "OAUTHBEARER" else
                            Scram(self, name.removeprefix("SCRAM-").replace("-", "").lower()))
            elif key == SASL_AUTHENTICATE and exchange:
                life = struct.pack(">q", 0) if version >= 1 else b""
                try:
                    answer, done = exchange.step(frame[at + 4:])
                except Refused as refused:
                    send_frame(client, head + struct.pack(">h", AUTHENTICATION_FAILED) + text_field(str(refused)) +
                               struct.pack(">i", 0) + life)
                    raise
                send_frame(client, head + struct.pack(">hhi", 0, -1, len(answer)) + answer + life)
                if done:
                    return
            else:
                raise ValueError(f"request {key} before the login")

    def relay(self, client, upstream):
        # The mock names itself as the cluster's broker; clients must come back here. Both names have nine characters.
        theirs = b"127.0.0.1" + struct.pack(">i", int(self.upstream[1]))
        ours = b"localhost" + struct.pack(">i", self.port)
        while True:
            waiting = getattr(client, "pending", int)()
            ready = [client] if waiting else select.select([client, upstream], [], [])[0]
            if client in ready:
                send_frame(upstream, receive_frame(client))
            if upstream in ready:
                send_frame(client, receive_frame(upstream).replace(theirs, ours))

    def command(self, words):
        if words[0] == "certificate":
            self.tls.load_cert_chain(words[1], words[2])
        elif words[0] == "drop":
            with self.lock:
                for client in self.clients:
                    socket.socket.shutdown(client, socket.SHUT_RDWR)
        elif words[0] == "report":
            with self.lock:
                return json.dumps(self.facts)
        else:
            return "error unknown command; expected certificate, drop or report"
        return "ok"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstream")
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--client-ca")
    parser.add_argument("--sasl", nargs="+", default=[])
    parser.add_argument("--user", default="")
    parser.add_argument("--password-file")
    front = Front(parser.parse_args())
    threading.Thread(target=front.accept, daemon=True).start()
    print(f"localhost:{front.port}", flush=True)
    for line in sys.stdin:
        if line.strip():
            print(front.command(line.split()), flush=True)


if __name__ == "__main__":
    main()
