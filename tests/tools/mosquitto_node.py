#!/usr/bin/env python3
"""A private Mosquitto broker for tests: any user, no service manager, free ports on loopback.

    mosquitto_node.py FOLDER MAKE_DEV_CERTS

Prints "ready plain=PORT tls=PORT mutual=PORT" when the broker takes connections. The TLS ports are open on
127.0.0.1 and on 127.0.0.2, of which the certificate knows only the first; the mutual one wants a client
certificate. Certificates are in FOLDER/certs. Then each command on standard input is answered by one line,
"ok" or "error ...":

    stop    ends it in good order, with its sessions on disk     freeze, thaw   SIGSTOP and SIGCONT to it
    start   starts it again, same data                           quit

It ends, with the broker, on SIGTERM or when standard input closes. Everything it writes is in FOLDER.
"""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

TIMEOUT_S = 30


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Node:
    def __init__(self, folder, make_certs):
        self.folder = os.path.abspath(folder)
        self.program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if not self.program:
            sys.exit("error mosquitto is not installed")
        self.certs = os.path.join(self.folder, "certs")
        made = subprocess.run([make_certs, "--out", self.certs, "--with-wrong-ca"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode != 0:
            sys.exit("error " + " ".join(made.stdout.split()))
        self.plain, self.tls, self.mutual = free_ports(3)
        self.process = None
        self.write_files()

    def write_files(self):
        with open(os.path.join(self.folder, "acl"), "w") as f:
            # A "topic" line says nothing about sessions that wait for their client, a "pattern" line does.
            f.write("topic deny +/plant/refused\npattern readwrite #\n")
        tls = (f"cafile {self.certs}/ca.crt\ncertfile {self.certs}/server.crt\nkeyfile {self.certs}/server.key\n")
        with open(os.path.join(self.folder, "mosquitto.conf"), "w") as f:
            f.write(f"user {pwd.getpwuid(os.getuid()).pw_name}\n"
                    f"allow_anonymous true\nacl_file {self.folder}/acl\n"
                    f"persistence true\npersistence_location {self.folder}/\n"
                    "max_queued_messages 0\nqueue_qos0_messages true\n"
                    f"listener {self.plain} 127.0.0.1\n"
                    f"listener {self.tls} 127.0.0.1\n{tls}"
                    f"listener {self.tls} 127.0.0.2\n{tls}"
                    f"listener {self.mutual} 127.0.0.1\n{tls}require_certificate true\n")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.plain), timeout=2).close()
            return True
        except OSError:
            return False

    def start(self):
        if self.process:
            return "ok"
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([self.program, "-c", os.path.join(self.folder, "mosquitto.conf")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return f"error mosquitto ended with {self.process.returncode}; see {self.folder}/log"
            if self.answers():
                return "ok"
            time.sleep(0.01)
        return "error mosquitto does not answer"

    def signal(self, number):
        if not self.process:
            return "error mosquitto is not running"
        self.process.send_signal(number)
        return "ok"

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        return "ok"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    node = Node(sys.argv[1], sys.argv[2])
    commands = {
        "stop": node.stop,
        "start": node.start,
        "freeze": lambda: node.signal(signal.SIGSTOP),
        "thaw": lambda: node.signal(signal.SIGCONT),
    }
    try:
        started = node.start()
        if started != "ok":
            print(started, flush=True)
            return 1
        print(f"ready plain={node.plain} tls={node.tls} mutual={node.mutual}", flush=True)
        for line in sys.stdin:
            word = line.strip()
            if word == "quit":
                break
            answer = commands[word]() if word in commands else "error unknown command"
            print(answer, flush=True)
    finally:
        node.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
