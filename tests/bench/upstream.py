"""The upstreams of the bridge scenarios: a Kafka cluster (librdkafka's mock) or RabbitMQ as processes of their own, what
a bridge there is configured with, and a count of what has arrived."""

import glob
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

from case import LeftOut

NAME = "bench"  # of the topic, or the queue
# The mock keeps 5 MiB of a partition. By key, which is the device, none of so many gets more of 100 devices' messages.
PARTITIONS = 24
TOOLS = pathlib.Path(__file__).resolve().parent.parent / "tools"


class Peer:
    """A program that answers each line on its standard input by one line. Use it in a with statement: then the upstream
    takes messages, and has a place for them."""

    title = kind = ""
    program = ""  # beside the broker's; empty: none is needed

    def __init__(self, sluiced, spare_time=False):
        """`spare_time`: it stands for other machines, and takes only time that nobody else wants."""
        self.prepare = (lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))) if spare_time else None
        folder = pathlib.Path(sluiced).resolve().parent
        needed = [folder / "upstream_tap", folder.parent / "lib" / "sluice" / f"bridge-{self.kind}.so"]
        if self.program:
            needed.append(folder / self.program)
        if missing := [path.name for path in needed if not path.exists()]:
            raise LeftOut(f"{', '.join(missing)} is not built: the client library of {self.title} is missing")
        self.tap, self.programs = str(folder / "upstream_tap"), folder
        self.folder = tempfile.mkdtemp(prefix="sluice-bench-")

    def command(self):
        raise NotImplementedError

    def begin(self, first_line):
        """After the first line that the program has said."""
        raise NotImplementedError

    def tap_words(self):
        """The arguments of upstream_tap."""
        raise NotImplementedError

    def bridge_lines(self):
        """The keys of the bridge and of its route; the route's follow its header."""
        raise NotImplementedError

    def __enter__(self):
        self.process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=self.prepare)
        try:
            self.begin(self._line())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(90)  # it ends its node in good order
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _line(self):
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"{self.title}: {self.command()[0]} ended without a word")
        return line.strip()

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        if not (answer := self._line()).startswith("ok"):
            raise RuntimeError(f"{self.title}: {command}: {answer}")

    def down(self):
        """It takes no connections, and has none."""
        self.ask("down")

    def up(self):
        self.ask("up")

    def arrivals(self, expected):
        """What lies there: see Arrivals."""
        with Tap(self.tap, self.tap_words()) as tap:
            return Arrivals(tap, expected).found


class KafkaMock(Peer):
    title, kind, program = "Kafka", "kafka", "kafka_mock"

    def command(self):
        return [str(self.programs / self.program)]

    def begin(self, first_line):
        self.servers = first_line
        self.ask(f"topic {NAME} {PARTITIONS}")

    def tap_words(self):
        return ["kafka", self.servers, NAME]

    def bridge_lines(self):
        servers = ", ".join(f'"{server.strip()}"' for server in self.servers.split(","))
        return f"servers = [{servers}]", f'topic = "{NAME}"'


class RabbitMq(Peer):
    title, kind = "RabbitMQ", "amqp"

    def command(self):
        if not glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*"):
            raise LeftOut("rabbitmq-server is not installed (./dev setup peers)")
        return [sys.executable, str(TOOLS / "rabbitmq_node.py"), self.folder]

    def begin(self, first_line):
        if not first_line.startswith("ready"):
            raise RuntimeError(f"RabbitMQ: {first_line}")
        self.port = dict(word.split("=", 1) for word in first_line.split()[1:])["amqp"]
        with Tap(self.tap, self.tap_words()):
            pass  # the queue stays

    def tap_words(self):
        return ["amqp", f"127.0.0.1:{self.port}", NAME, f"{NAME}.#"]

    def bridge_lines(self):
        return f'servers = ["127.0.0.1:{self.port}"]', ""

    # As a node in maintenance does it: at once, while a stop and a start take many seconds of both cores.
    def down(self):
        self.ask("ctl eval 'rabbit_maintenance:suspend_all_client_listeners(), "
                 "rabbit_maintenance:close_all_client_connections().'")

    def up(self):
        self.ask("ctl eval 'rabbit_maintenance:resume_all_client_listeners().'")


KAFKAS = {"mock": KafkaMock}


class Tap:
    """upstream_tap at work, when it has said that nothing can be missed any more. `lines` has what it says, in order."""

    def __init__(self, program, words):
        self.command = [program, "--stamps", *words]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.complaints = queue.SimpleQueue(), []
        self.readers = [threading.Thread(target=self._read, args=(self.process.stdout, self.lines.put)),
                        threading.Thread(target=self._read, args=(self.process.stderr, self.complaints.append))]
        for reader in self.readers:
            reader.start()
        try:
            first = self.lines.get(timeout=60)
        except queue.Empty:
            first = "nothing"
        if first != "ready":
            self.__exit__()
            raise RuntimeError(f"upstream_tap said {first} where ready was due; it complained: {self.complaints}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    @staticmethod
    def _read(stream, take):
        for line in stream:
            take(line.strip())


class Arrivals:
    """Counts what a tap reads until there is no more. `found`: lost (of those expected), duplicated, and misordered (came
    for the first time after a later one of its publisher)."""

    PATIENCE_S, SILENCE_S = 15, 0.7  # while some are missing; when all are there: a late duplicate counts too

    def __init__(self, tap, expected):
        self.expected, self.seen, self.last = expected, set(), {}
        self.found = {"lost": 0, "duplicated": 0, "misordered": 0}
        try:
            while True:
                complete = len(self.seen) >= expected
                self._take(tap.lines.get(timeout=self.SILENCE_S if complete else self.PATIENCE_S))
        except queue.Empty:
            pass
        if tap.complaints:
            raise RuntimeError(f"upstream_tap: {tap.complaints[0]}")
        if len(self.seen) > expected:
            raise RuntimeError(f"{len(self.seen)} different messages arrived, only {expected} were sent")
        self.found["lost"] = expected - len(self.seen)

    def _take(self, line):
        if line in self.seen:
            self.found["duplicated"] += 1
            return
        self.seen.add(line)
        publisher, *when = map(int, line.split())
        if when < self.last.get(publisher, []):
            self.found["misordered"] += 1
        else:
            self.last[publisher] = when
