"""A Kafka cluster to send to: librdkafka's mock as a process of its own, and the bridge that leads there."""

import json
import pathlib
import subprocess
import time
import urllib.request

from brokers import free_port

BRIDGE_CONFIG = """
[admin]
address = "127.0.0.1"
port = {admin_port}
[[bridge]]
name = "bench"
type = "kafka"
servers = [{servers}]
[[bridge.route]]
from = "bench/#"
topic = "bench"
"""


class KafkaMock:
    """Use it in a with statement."""

    @staticmethod
    def program(sluiced):
        """Where it stands, beside the broker's program; None where it, or the broker's module, was not built."""
        folder = pathlib.Path(sluiced).resolve().parent
        mock, module = folder / "kafka_mock", folder.parent / "lib" / "sluice" / "bridge-kafka.so"
        return str(mock) if mock.exists() and module.exists() else None

    def __init__(self, program):
        self.command = [program]
        self.admin_port = free_port()

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.servers = self._line()
        self.process.stdin.write("topic bench 4\n")
        self.process.stdin.flush()
        if (answer := self._line()) != "ok":
            self.__exit__()
            raise RuntimeError(f"kafka_mock: {answer}")
        return self

    def __exit__(self, *_):
        self.process.kill()  # nothing of it is kept
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _line(self):
        if not (line := self.process.stdout.readline()):
            raise RuntimeError("kafka_mock ended without a word")
        return line.strip()

    def bridge_config(self):
        """What makes a broker send to it."""
        servers = ", ".join(f'"{server.strip()}"' for server in self.servers.split(","))
        return BRIDGE_CONFIG.format(admin_port=self.admin_port, servers=servers)

    def wait_confirmed(self, count, seconds=120):
        """Until it has confirmed so many messages to the broker."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/api/v1/bridges", timeout=10) as answer:
                bridge = json.load(answer)["bridges"][0]
            if bridge["refused"] or bridge["dropped"] or bridge["confirmed"] > count:
                raise RuntimeError(f"the bridge lost or repeated messages: {bridge}")
            if bridge["confirmed"] == count:
                return
            time.sleep(0.02)
        raise RuntimeError(f"{count} messages were not confirmed within {seconds} s: {bridge}")
