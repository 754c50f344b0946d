"""Runs the load generator and reads the broker's costs between its phases."""

import contextlib
import json
import os
import subprocess


class Generator:
    """One run of tests/bench/load. It stops at each phase until go() is called."""

    def __init__(self, program, command, **options):
        arguments = [program, command]
        for name, value in options.items():
            if value is True:
                arguments.append("--" + name.replace("_", "-"))
            elif value is not False and value is not None:
                arguments += ["--" + name.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def take_spare_time(self):
        """From now on it runs where nobody else wants to."""
        os.sched_setscheduler(self.process.pid, os.SCHED_IDLE, os.sched_param(0))

    def take_core_at_once(self):
        """From now on it never waits for a core, as if it were another machine: what it measures is the broker's. Needs
        the right to do so; without it the waits are in the figures."""
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(self.process.pid, os.SCHED_FIFO, os.sched_param(1))

    def _line(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(self.process.stderr.read().strip() or "the load generator ended without a word")
        return line

    def wait_phase(self, name):
        line = self._line().strip()
        if line != f"phase {name}":
            raise RuntimeError(f"the load generator said '{line}' where phase {name} was due")

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def result(self):
        found = json.loads(self._line())
        self.process.wait()
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def measure(program, broker, command, **options):
    """(what the generator found, CPU seconds of the broker from phase begin to phase end)."""
    with Generator(program, command, **options) as generator:
        generator.wait_phase("begin")
        before = broker.cpu_seconds()
        generator.go()
        generator.wait_phase("end")
        spent = broker.cpu_seconds() - before
        generator.go()
        return generator.result(), spent
