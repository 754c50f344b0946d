"""Starts a broker on free loopback ports and reads what it costs from /proc."""

import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

SLUICE_CONFIG = """
[broker]
data_dir = "{folder}/data"
{threads}
[[listener]]
address = "127.0.0.1"
port = {port}
anonymous = true
[[listener]]
address = "127.0.0.1"
port = {tls_port}
anonymous = true
tls.certificate = "{certificates}/server.crt"
tls.key = "{certificates}/server.key"
[limits]
subscriptions_max = 1000000
connections_max = 100000
"""
MOSQUITTO_CONFIG = """
listener {port} 127.0.0.1
listener {tls_port} 127.0.0.1
certfile {certificates}/server.crt
keyfile {certificates}/server.key
allow_anonymous true
{persistence}
max_queued_messages 100000
user {user}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclasses.dataclass
class Setup:
    """What all brokers of a run are started with."""

    sluiced: str
    certificates: str
    threads: int = 0  # of sluice; 0: its default


class Broker:
    """A process with its own folder; use it in a with statement."""

    def __init__(self, name, setup, more="", keeps=False):
        """`more`: further lines of its configuration. `keeps`: mosquitto with persistence too."""
        self.name, self.port, self.tls_port = name, free_port(), free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
        (self.folder / "data").mkdir()
        file = self.folder / "broker.conf"
        file.write_text((SLUICE_CONFIG if name == "sluice" else MOSQUITTO_CONFIG).format(
            folder=self.folder, port=self.port, tls_port=self.tls_port,
            certificates=pathlib.Path(setup.certificates).resolve(),
            persistence=f"persistence true\npersistence_location {self.folder}/data/" if keeps else "persistence false",
            threads=f"threads = {setup.threads}" if setup.threads else "",
            user="root" if os.getuid() == 0 else os.environ.get("USER", "nobody")) + more)
        self.command = [setup.sluiced, "--config", str(file)] if name == "sluice" else [find_mosquitto(), "-c", str(file)]

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                for port in (self.port, self.tls_port):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.__exit__()
        raise RuntimeError(f"{self.name} does not serve its ports; it said: {self.said}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said = (self.folder / "log").read_text(errors="replace")[-2000:]
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu_seconds(self):
        """Of all its threads, to the nanosecond where the kernel keeps such figures."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total / 1e9

    def written_bytes(self):
        """To the disk, as far as the kernel knows whose they are."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024


    def settled_rss_bytes(self, seconds=30):
        """When it has come to rest: what is freed, or parked, a moment later is not in it."""
        looks = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            looks.append(self.rss_bytes())
            last = looks[-10:]
            if len(last) == 10 and max(last) - min(last) <= 32 * 1024:
                return last[-1]
            time.sleep(0.1)
        raise RuntimeError(f"the memory of {self.name} has not come to rest within {seconds} s: {looks[-10:]}")


def find_mosquitto():
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not program:
        raise RuntimeError("mosquitto is not installed (./dev setup peers)")
    return program
