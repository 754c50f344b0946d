#!/usr/bin/env python3
"""A private Apache Kafka node (KRaft, broker and controller in one) for tests: any user, free ports on loopback.

    kafka_node.py FOLDER --jars JARS --admin PROGRAM [--namespace]

JARS is what kafka_jars.py fetches, PROGRAM is kafka_admin. Prints one line when the node takes connections:
"ready plaintext=PORT sasl_ssl=PORT ssl=PORT ca=FILE pid=PID", with --namespace also "namespace=NAME
outside=HOST:PORT" where this machine can have one. Then each command on standard input is answered by one
line, "ok ..." or "error ...":

    kill9   kills the node at once          freeze, thaw   SIGSTOP and SIGCONT to the node
    stop    ends it in good order           cut, mend      packets from and to the namespace vanish, or not
    start   starts it again, same data      quit
    and the commands of kafka_admin

It ends, with the node, on SIGTERM or when standard input closes. Everything it writes is in FOLDER.

Who comes over PLAINTEXT or from the namespace may do everything. Over SASL_SSL come the users "sluice" and
"stranger", the password is the name and "-secret": PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; or anybody with an
unsigned OAUTHBEARER token. SSL asks for a certificate of the CA; FOLDER/certs has those of devices.
"""
import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time

from rabbitmq_node import free_ports, is_running
from veth_namespace import VethNamespace

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30
USERS = ("sluice", "stranger")
JAVA = ["java", "-Xmx160m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data

# One of everything: there is one node.
default.replication.factor=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0

# Small, and soon back after a kill.
num.network.threads=1
num.io.threads=2
background.threads=2
num.recovery.threads.per.data.dir=1
log.cleaner.enable=false
log.index.size.max.bytes=131072
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=250

# What is beyond its retention goes at once: a test that writes such records fails always, not now and then.
log.initial.task.delay.ms=500
log.retention.check.interval.ms=1000

authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true

sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {plain};
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.oauthbearer.sasl.jaas.config=\
org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="node";
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/certs/ca.crt
listener.name.ssl.ssl.client.auth=required
"""

LOGGING = """
log4j.rootLogger=WARN, console
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %m (%c)%n
"""
STARTED = b"Kafka Server started"


def die_with_parent():
    """Also when this process is killed, no node stays behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Node:
    def __init__(self, folder, jars, admin, namespace):
        self.folder = os.path.abspath(folder)
        self.class_path = os.path.join(os.path.abspath(jars), "*")
        self.namespace = namespace
        self.port, self.sasl_port, self.ssl_port, self.outside_port, self.controller_port = free_ports(5)
        self.process = None
        os.makedirs(self.folder, exist_ok=True)
        self.make_certificates()
        self.write_files()
        self.format()
        self.admin = subprocess.Popen([admin, f"127.0.0.1:{self.port}"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def make_certificates(self):
        subprocess.run([os.path.join(PROJECT, "certs", "make-dev-certs"), "--out", self.path("certs"), "--devices", "1",
                        "--with-wrong-ca"], check=True, stdout=subprocess.DEVNULL)
        pem = ""
        for name in ("server.key", "server.crt"):
            with open(self.path("certs", name), encoding="ascii") as part:
                pem += part.read()
        with open(self.path("server.pem"), "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(pem)

    def write_files(self):
        listeners = [f"PLAINTEXT://127.0.0.1:{self.port}", f"SASL_SSL://localhost:{self.sasl_port}",
                     f"SSL://localhost:{self.ssl_port}"]
        if self.namespace.problem is None:
            listeners.append(f"OUTSIDE://{self.outside_address()}")
        plain = " ".join(f'user_{user}="{user}-secret"' for user in USERS)
        with open(self.path("server.properties"), "w", encoding="ascii") as file:
            file.write(SETTINGS.format(folder=self.folder, listeners=",".join(listeners), plain=plain,
                                       controller=self.controller_port))
        with open(self.path("log4j.properties"), "w", encoding="ascii") as file:
            file.write(LOGGING)

    def outside_address(self):
        return f"{self.namespace.near_address}:{self.outside_port}"

    def java(self, name, *arguments):
        return [*JAVA, f"-Dlog4j.configuration=file:{self.path('log4j.properties')}", "-cp", self.class_path, name,
                *arguments]

    def format(self):
        scram = []
        for user in USERS:
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                scram += ["--add-scram", f"{mechanism}=[name={user},password={user}-secret]"]
        done = subprocess.run(self.java("kafka.tools.StorageTool", "format", "--cluster-id", "c2x1aWNlLXRlc3Qtbm9kZQ",
                                        "--config", self.path("server.properties"), *scram),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit("error the node's storage cannot be formatted: " + " ".join(done.stdout.split()))

    def running(self):
        return self.process is not None and is_running(self.process.pid)

    def start(self):
        if self.running():
            return "ok already running"
        with open(self.path("console"), "ab") as console:
            begin = console.tell()
            self.process = subprocess.Popen(self.java("kafka.Kafka", self.path("server.properties")),
                                            stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                            preexec_fn=die_with_parent)
        deadline = time.monotonic() + START_TIMEOUT_S
        with open(self.path("console"), "rb") as console:
            console.seek(begin)
            said = b""
            while time.monotonic() < deadline:
                said += console.read()
                if STARTED in said:
                    return f"ok plaintext={self.port}"
                if self.process.poll() is not None:
                    return f"error the node ended with {self.process.returncode}; see {self.path('console')}"
                time.sleep(0.05)
        return f"error the node was not ready within {START_TIMEOUT_S} s"

    def signal(self, number):
        if not self.running():
            return "error the node is not running"
        os.kill(self.process.pid, number)
        return "ok"

    def end(self, number):
        if self.running():
            os.kill(self.process.pid, signal.SIGCONT)
            os.kill(self.process.pid, number)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return "ok"

    def ask_admin(self, line):
        self.admin.stdin.write(line + "\n")
        self.admin.stdin.flush()
        return self.admin.stdout.readline().strip() or "error kafka_admin has ended"

    def ready(self):
        text = (f"ready plaintext={self.port} sasl_ssl={self.sasl_port} ssl={self.ssl_port} "
                f"ca={self.path('certs', 'ca.crt')} pid={self.process.pid}")
        if self.namespace.problem is None:
            text += f" namespace={self.namespace.name} outside={self.outside_address()}"
        return text

    def run(self, line):
        commands = {
            "kill9": lambda: self.end(signal.SIGKILL),
            "stop": lambda: self.end(signal.SIGTERM),
            "start": self.start,
            "freeze": lambda: self.signal(signal.SIGSTOP),
            "thaw": lambda: self.signal(signal.SIGCONT),
            "cut": self.namespace.cut,
            "mend": self.namespace.mend,
        }
        return commands[line]() if line in commands else self.ask_admin(line)

    def close(self):
        self.end(signal.SIGKILL)  # nobody wants the data any more
        self.admin.kill()
        self.admin.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--jars", required=True)
    parser.add_argument("--admin", required=True)
    parser.add_argument("--namespace", action="store_true")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    node = None
    with VethNamespace(f"slk{os.getpid()}", args.namespace) as namespace:
        try:
            node = Node(args.folder, args.jars, args.admin, namespace)
            started = node.start()
            if not started.startswith("ok"):
                print(started, flush=True)
                return 1
            print(node.ready(), flush=True)
            for line in sys.stdin:
                line = line.strip()
                if line == "quit":
                    break
                if line:
                    print(node.run(line), flush=True)
        finally:
            if node:
                node.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
