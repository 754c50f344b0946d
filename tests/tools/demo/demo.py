#!/usr/bin/env python3
"""./dev demo: the whole job on real parts.

Starts a private RabbitMQ, a Kafka-protocol cluster, the broker with TLS and a fleet of simulated devices, all on
loopback; stops and restarts each upstream once and kills the broker once; then checks that every message that was
acknowledged to a device arrived at both upstreams. Exit status 0 only when none was lost.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from parts import QUEUE, TOPIC, Broker, Fleet, Folders, Kafka, Rabbit, Tap, make_certificates  # noqa: E402
from processes import Failure, kill_marked, stop_all  # noqa: E402
from replay import replay_options  # noqa: E402
from tally import LineFollower, Tally, parse_message  # noqa: E402
from view import Rates, View  # noqa: E402

LOOK_S = 0.1
SETTLE_S = 1.5  # after the last expected message: late duplicates are counted too


class Demo:
    """One run, from the first process to the last line. Everything happens on one thread."""

    def __init__(self, options, folders, view):
        self.options = options
        self.folders = folders
        self.view = view
        self.mark = f"{os.getpid()}-{time.time_ns()}"
        self.tally = Tally(["kafka", "amqp"])
        self.rates = Rates()
        self.children = []  # in the order of starting
        self.kafka = self.rabbit = self.broker = self.fleet = self.journal = None
        self.taps = []
        self.began = 0.0
        self.now = "starting"

    # -- start ---------------------------------------------------------------------------------------------------

    def start(self):
        self.say(f"starting RabbitMQ, the Kafka cluster and the broker; logs in {self.folders.run}")
        self.rabbit = Rabbit(self.folders, self.mark)
        self.kafka = Kafka(self.folders, self.mark)
        self.children += [self.rabbit.child, self.kafka.child]
        self.rabbit.start()  # the slowest: the others start meanwhile
        self.kafka.start()
        make_certificates(self.folders, self.options.devices)
        self.rabbit.await_ready()
        # The taps are there before the first message, so that the queue exists: nothing is unroutable.
        self.taps = [Tap("kafka", self.folders, self.mark, ["kafka", self.kafka.servers, TOPIC]),
                     Tap("amqp", self.folders, self.mark,
                         ["amqp", f"127.0.0.1:{self.rabbit.port}", QUEUE, "plant.#"])]
        for tap in self.taps:
            self.children.append(tap)
            tap.start()
        for tap in self.taps:
            tap.await_ready()
        self.broker = Broker(self.folders, self.mark, self.kafka.servers, self.rabbit.port)
        self.children.append(self.broker.child)
        self.broker.start()
        self.await_broker(30)
        self.start_fleet()

    def await_broker(self, seconds):
        deadline = time.monotonic() + seconds
        while not self.broker.answers():
            self.check_children()
            if time.monotonic() > deadline:
                raise Failure(f"the broker was not ready within {seconds} s")
            time.sleep(LOOK_S)

    def start_fleet(self):
        options = ["--qos", self.options.qos]
        if self.options.replay:
            options += replay_options(self.options.replay, self.options.seconds, self.options.devices)
        else:
            options += ["--seconds", self.options.seconds, "--rate", self.options.rate]
        self.fleet = Fleet(self.folders, self.mark, self.broker, self.options.devices, options)
        self.children.append(self.fleet.child)
        self.journal = LineFollower(self.fleet.journal)
        self.fleet.child.start()

    # -- the middle ----------------------------------------------------------------------------------------------

    def incidents(self):
        """What happens, and when: (part of the time, what to say, what to do)."""
        return [
            (0.25, "Kafka goes down", self.kafka.stop_service),
            (0.40, "Kafka comes back", self.kafka.start_service),
            (0.45, "RabbitMQ is stopped and started again", self.rabbit.restart_service),
            (0.70, "the broker is killed with -9 and started again", self.kill_broker),
        ]

    def kill_broker(self):
        self.broker.child.kill()
        self.broker.start()

    def run(self):
        self.began = time.monotonic()
        self.now = "all is well"
        pending = self.incidents()
        while self.fleet.child.running:
            elapsed = time.monotonic() - self.began
            while pending and elapsed >= pending[0][0] * self.options.seconds:
                _, text, act = pending.pop(0)
                self.say(f"{elapsed:5.1f} s  {text}")
                self.now = text
                act()
            self.look()
            # The devices wait for their last acknowledgements themselves, up to a minute.
            if elapsed > self.options.seconds + 90:
                raise Failure("the devices do not come to an end")
            time.sleep(LOOK_S)
        self.look()
        if pending:
            raise Failure(f"the devices ended too early (status {self.fleet.child.status}), "
                          f"before: {pending[0][1]}")
        if self.fleet.child.status not in (0, 1):
            raise Failure(f"firmware_sim ended with status {self.fleet.child.status}")

    # -- the end -------------------------------------------------------------------------------------------------

    def drain(self):
        """Waits until everything acknowledged has arrived and the spools are empty."""
        self.say(f"{time.monotonic() - self.began:5.1f} s  the devices are done; waiting for the spools to empty")
        self.now = "draining"
        deadline = time.monotonic() + self.options.drain
        settled_at = None
        while time.monotonic() < deadline:
            self.look()
            if self.tally.lost == 0 and not self.rabbit.restarting and self.spools_empty():
                settled_at = settled_at or time.monotonic()
                if time.monotonic() >= settled_at + SETTLE_S:
                    return
            else:
                settled_at = None
            time.sleep(LOOK_S)
        self.say(f"not everything arrived within {self.options.drain:g} s")

    def spools_empty(self):
        bridges = self.broker.bridges()
        return len(bridges) == 2 and all(bridge.get("spool_messages") == 0 for bridge in bridges.values())

    def look(self):
        """Takes in everything new and draws the view when it is time."""
        self.check_children()
        if self.rabbit.look():
            self.say(f"{time.monotonic() - self.began:5.1f} s  RabbitMQ is back")
        self.fleet.look()
        self.tally.published = self.fleet.counts.get("sent", 0)
        for line in self.journal.lines():
            if message := parse_message(line):
                self.tally.on_acknowledged(message)
        for tap in self.taps:
            for line in tap.new_lines():
                if message := parse_message(line):
                    self.tally.on_arrived(tap.upstream, message)
        now = time.monotonic()
        if self.view.due(now):
            self.view.draw(self.state(now))

    def state(self, now):
        arrived = {name: self.tally.delivered(name) for name in self.tally.arrived}
        figures = {"published": self.tally.published, "acknowledged": len(self.tally.acknowledged), **arrived}
        return {"seconds": now - self.began, "left": self.began + self.options.seconds - now, "now": self.now,
                "published": self.tally.published, "acknowledged": len(self.tally.acknowledged),
                "rates": self.rates.update(figures, now), "connected": self.fleet.counts.get("connected"),
                "devices": self.options.devices, "arrived": arrived, "bridges": self.broker.bridges()}

    def check_children(self):
        """Whoever ends unasked ends the demo; the fleet may."""
        for child in self.children:
            if (self.fleet is None or child is not self.fleet.child) and child.status is not None:
                tail = "".join("\n  " + line for line in child.log_tail())
                raise Failure(f"{child.name} ended with status {child.status}{tail}")

    def say(self, text):
        self.view.say(text)

    def stop(self):
        self.view.clear()
        # The fleet first, so that it does not see the broker vanish; RabbitMQ takes longest.
        stop_all(self.children[::-1], 20)
        kill_marked(self.mark)


def parse_options():
    parser = argparse.ArgumentParser(prog="./dev demo", description="The whole job on real parts, and a count of "
                                     "what was lost.")
    parser.add_argument("--build-dir", default="build/release", help="where the programs were built")
    parser.add_argument("--seconds", type=float, default=30, help="how long the devices publish (default 30)")
    parser.add_argument("--devices", type=int, default=20, help="how many devices (default 20)")
    parser.add_argument("--rate", type=float, default=10, help="messages per second and device (default 10)")
    parser.add_argument("--qos", type=int, choices=(1, 2), default=1, help="quality of service (default 1)")
    parser.add_argument("--replay", metavar="FILE", help="publish the rows of this CSV file of sensor readings")
    parser.add_argument("--drain", type=float, default=90, help="wait so long for the last messages (default 90)")
    parser.add_argument("--keep", action="store_true", help="keep the logs also when all went well")
    options = parser.parse_args()
    if not 5 <= options.seconds <= 86400:
        parser.error("--seconds must be from 5 to 86400")
    if not 1 <= options.devices <= 1000:
        parser.error("--devices must be from 1 to 1000")
    if not 0.1 <= options.rate <= 1000:
        parser.error("--rate must be from 0.1 to 1000")
    if options.replay:
        options.replay = os.path.abspath(options.replay)
        if not os.access(options.replay, os.R_OK) or os.path.isdir(options.replay):
            parser.error(f"--replay: cannot read '{options.replay}'")
    return options


def on_signal(number, _frame):
    # A second Ctrl-C must not interrupt the cleaning up.
    handle_signals(signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def handle_signals(how):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, how)


def report(demo, view):
    """The last lines; True when the demo shows what it should."""
    for upstream in demo.tally.arrived:
        if demo.tally.missing(upstream):
            view.say(f"missing in {upstream}: {demo.tally.describe_missing(upstream)}")
    unacknowledged = demo.tally.published - len(demo.tally.acknowledged)
    if unacknowledged > 0:
        view.say(f"{unacknowledged} messages were never acknowledged")
    return demo.tally.lost == 0 and len(demo.tally.acknowledged) > 0


def main():
    options = parse_options()
    handle_signals(on_signal)
    view = View()
    run = tempfile.mkdtemp(prefix="sluice-demo-")
    demo = Demo(options, Folders(options.build_dir, run), view)
    status = 1
    try:
        demo.start()
        demo.run()
        demo.drain()
        status = 0 if report(demo, view) else 1
    except Failure as failure:
        view.say(f"demo: {failure}")
    except KeyboardInterrupt:
        view.say("demo: interrupted; stopping everything")
        status = 130
    finally:
        handle_signals(signal.SIG_IGN)
        demo.stop()
        if status in (0, 130) and not options.keep:
            shutil.rmtree(run, ignore_errors=True)
        else:
            print(f"logs: {run}", flush=True)
    # The last line is for scripts: always there, always of this form.
    print(demo.tally.summary(), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
