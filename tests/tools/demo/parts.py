"""The parts of the demo: upstreams, broker and fleet, each with how it is started and asked."""

import json
import os
import subprocess
import urllib.request

from processes import Child, Failure, free_port

TOPIC = "telemetry"
QUEUE = "demo"


class Folders:
    """Where things are: the project, its build, and the folder of this run."""

    def __init__(self, build, run):
        self.project = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
        self.build = os.path.abspath(build)
        self.run = run
        self.certs = os.path.join(run, "certs")

    def program(self, name):
        path = os.path.join(self.build, "bin", name)
        if not os.access(path, os.X_OK):
            raise Failure(f"{path} is missing: build it first (./dev build)")
        return path

    def tool(self, name):
        path = os.path.join(self.project, name)
        if not os.path.exists(path):
            raise Failure(f"{path} is missing")
        return path


def make_certificates(folders, devices):
    command = [folders.tool("certs/make-dev-certs"), "--out", folders.certs, "--devices", str(devices)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failure("cannot make certificates: " + (result.stderr.strip() or result.stdout.strip()))


class Kafka:
    """librdkafka's mock cluster as a process of its own."""

    def __init__(self, folders, mark):
        self.child = Child("kafka", [folders.program("kafka_mock")], folders.run, mark, keep_lines=True)
        self.servers = ""

    def start(self):
        self.child.start()
        self.servers = self.child.await_line(lambda line: ":" in line, 20).strip()
        self._ask(f"topic {TOPIC} 4")

    def _ask(self, command):
        self.child.tell(command)
        answer = self.child.await_line(lambda line: line.startswith(("ok", "error")), 10)
        if not answer.startswith("ok"):
            raise Failure(f"kafka: {command}: {answer}")

    def stop_service(self):
        self._ask("down")

    def start_service(self):
        self._ask("up")


class Rabbit:
    """Debian's RabbitMQ as a private node. Stopping and starting take seconds, so they are asked for and then
    watched."""

    def __init__(self, folders, mark):
        command = ["python3", folders.tool("tests/tools/rabbitmq_node.py"), os.path.join(folders.run, "rabbitmq-node")]
        # Its data is thrown away with the run: no need to wait for an orderly end.
        self.child = Child("rabbitmq", command, folders.run, mark, keep_lines=True, kill_to_stop=True)
        self.port = 0
        self.answers_due = 0

    def start(self):
        """Begins to start; await_ready() ends it."""
        self.child.start()

    def await_ready(self, seconds=120):
        line = self.child.await_line(lambda text: text.startswith(("ready", "error")), seconds)
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "amqp" not in fields:
            raise Failure(f"rabbitmq: {line}")
        self.port = int(fields["amqp"])

    @property
    def restarting(self):
        return self.answers_due > 0

    def restart_service(self):
        self.answers_due = 2
        self.child.tell("stop", "start")

    def look(self):
        """True once, when the restart has come to its end."""
        for line in self.child.new_lines():
            if line.startswith("error"):
                raise Failure(f"rabbitmq: {line}")
            if self.restarting and line.startswith("ok"):
                self.answers_due -= 1
                if not self.restarting:
                    return True
        return False


class Tap(Child):
    """Reads what arrives at one upstream."""

    def __init__(self, name, folders, mark, words):
        super().__init__("tap-" + name, [folders.program("upstream_tap"), *words], folders.run, mark, keep_lines=True)
        self.upstream = name

    def await_ready(self):
        self.await_line(lambda line: line == "ready", 60)


class Broker:
    """sluiced with TLS, client certificates and a bridge to each upstream."""

    def __init__(self, folders, mark, kafka_servers, amqp_port):
        self.folders = folders
        self.port = free_port()
        self.admin_port = free_port()
        self.config = os.path.join(folders.run, "sluice.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self._config(kafka_servers, amqp_port))
        self.child = Child("sluiced", [folders.program("sluiced"), "--config", self.config], folders.run, mark)

    def _config(self, kafka_servers, amqp_port):
        servers = ", ".join(f'"{server.strip()}"' for server in kafka_servers.split(","))
        return f"""\
[broker]
data_dir = "{self.folders.run}/data"

[[listener]]
address = "127.0.0.1"
port = {self.port}
[listener.tls]
certificate = "{self.folders.certs}/server.crt"
key = "{self.folders.certs}/server.key"
client_ca = "{self.folders.certs}/ca.crt"
client_certificate = "required"
identity = "common_name"

[admin]
address = "127.0.0.1"
port = {self.admin_port}

[[bridge]]
name = "kafka"
type = "kafka"
servers = [{servers}]
[bridge.spool]
bytes_max = "256MiB"
[[bridge.route]]
from = "plant/+/telemetry/#"
topic = "{TOPIC}"
key = "{{client_id}}"

[[bridge]]
name = "amqp"
type = "amqp"
servers = ["127.0.0.1:{amqp_port}"]
[bridge.spool]
bytes_max = "256MiB"
[[bridge.route]]
from = "plant/+/telemetry/#"
exchange = "amq.topic"
"""

    def start(self):
        os.makedirs(os.path.join(self.folders.run, "data"), exist_ok=True)
        self.child.start()

    def answers(self):
        return self._get("/readyz") is not None

    def bridges(self):
        """The state of each bridge by name; empty when the broker does not answer."""
        text = self._get("/api/v1/bridges")
        if text is None:
            return {}
        try:
            listed = json.loads(text)
        except ValueError:
            return {}
        if isinstance(listed, dict):
            listed = listed.get("bridges", [])
        return {bridge["name"]: bridge for bridge in listed if isinstance(bridge, dict) and "name" in bridge}

    def _get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=0.5) as answer:
                return answer.read().decode()
        except OSError:
            return None


class Fleet:
    """The simulated devices, each with its certificate."""

    def __init__(self, folders, mark, broker, devices, options):
        self.journal = os.path.join(folders.run, "acknowledged.txt")
        command = [folders.program("firmware_sim"), "--host", "127.0.0.1", "--port", broker.port, "--tls",
                   "--ca", os.path.join(folders.certs, "ca.crt"), "--cert-dir", folders.certs,
                   "--devices", devices, "--journal", self.journal, "--progress", 0.5, "--backoff-max", 2,
                   "--outbox", 5000, "--drain", 60, *options]
        self.child = Child("fleet", command, folders.run, mark, keep_lines=True)
        self.counts = {}

    def look(self):
        """Takes in the counts that the fleet has printed: `sent S acknowledged A ...`."""
        for line in self.child.new_lines():
            words = line.split()
            if line.startswith("sent "):
                self.counts = {name: int(value) for name, value in zip(words[::2], words[1::2])}
