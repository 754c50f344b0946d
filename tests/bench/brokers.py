"""Starts a broker on a free loopback port and reads what it costs from /proc."""

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
[[listener]]
address = "127.0.0.1"
port = {port}
anonymous = true
"""
MOSQUITTO_CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/data/
max_queued_messages 100000
user {user}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """A process with its own folder; use it in a with statement."""

    def __init__(self, name, program, config, arguments):
        self.name, self.port = name, free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
        (self.folder / "data").mkdir()
        file = self.folder / "broker.conf"
        user = "root" if os.getuid() == 0 else os.environ.get("USER", "nobody")
        file.write_text(config.format(folder=self.folder, port=self.port, user=user))
        self.command = [str(program), *arguments, str(file)]

    def __enter__(self):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.__exit__()
        raise RuntimeError(f"{self.name} does not serve port {self.port}; it said: {self.said}")

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
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) * 1024


def sluice(program):
    return Broker("sluice", program, SLUICE_CONFIG, ["--config"])


def mosquitto():
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not program:
        raise RuntimeError("mosquitto is not installed (./dev setup peers)")
    return Broker("mosquitto", program, MOSQUITTO_CONFIG, ["-c"])
