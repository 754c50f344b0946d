"""Processes that the demo starts, and that it stops in every case."""

import ctypes
import os
import queue
import signal
import socket
import subprocess
import threading
import time

# Stands in the environment of everything that is started, also of grandchildren in sessions of their own.
MARK = "SLUICE_DEMO_RUN"

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def _die_with_parent():
    # Also when the demo itself is killed with -9, nothing stays behind.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Failure(Exception):
    """The demo cannot go on; the text is for its user."""


class Child:
    """One process in a group of its own; its output goes to a log file, its lines also to whoever asks."""

    def __init__(self, name, command, folder, mark, keep_lines=False, kill_to_stop=False):
        self.name = name
        self.command = [str(word) for word in command]
        self.log_path = os.path.join(folder, name + ".log")
        self.mark = mark
        self.keep_lines = keep_lines
        self.stop_signal = signal.SIGKILL if kill_to_stop else signal.SIGTERM
        self.lines = queue.Queue()
        self.process = None

    def start(self):
        log = open(self.log_path, "ab")  # pylint: disable=consider-using-with
        try:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE if self.keep_lines else log,
                stderr=log, start_new_session=True, preexec_fn=_die_with_parent,
                env={**os.environ, MARK: self.mark})
        except OSError as error:
            raise Failure(f"cannot start {self.name}: {error}") from error
        finally:
            log.close()
        if self.keep_lines:
            threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        return self

    def _read(self, stream):
        for line in stream:
            self.lines.put(line.decode(errors="replace").rstrip("\n"))

    def new_lines(self):
        """The lines printed since the last call."""
        found = []
        while True:
            try:
                found.append(self.lines.get_nowait())
            except queue.Empty:
                return found

    def await_line(self, accept, seconds):
        """The first line for which `accept` is true; lines before it are dropped."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=min(0.2, max(0.01, deadline - time.monotonic())))
                if accept(line):
                    return line
            except queue.Empty:
                if self.process.poll() is not None and self.lines.empty():
                    raise Failure(f"{self.name} ended with status {self.process.returncode}") from None
                if time.monotonic() > deadline:
                    raise Failure(f"{self.name} was not ready within {seconds} s") from None

    def tell(self, *commands):
        try:
            self.process.stdin.write("".join(command + "\n" for command in commands).encode())
            self.process.stdin.flush()
        except OSError as error:
            raise Failure(f"{self.name} takes no commands: {error}") from error

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def status(self):
        return None if self.process is None else self.process.poll()

    def signal(self, number):
        """To the whole group."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def log_tail(self, lines=5):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()[-lines:]
        except OSError:
            return []


def stop_all(children, seconds):
    """Asks all to end, waits together, then kills the groups of those that have not."""
    for child in children:
        if child.running:
            child.signal(child.stop_signal)
            try:
                child.process.stdin.close()
            except OSError:
                pass
    deadline = time.monotonic() + seconds
    for child in children:
        if child.process is None:
            continue
        try:
            child.process.wait(max(0.05, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        child.signal(signal.SIGKILL)
        child.process.wait()


def kill_marked(mark):
    """Kills, one by one, what descends from us in any session and still runs; their number."""
    wanted = f"{MARK}={mark}".encode()
    killed = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if wanted not in file.read().split(b"\0"):
                    continue
            os.kill(int(entry), signal.SIGKILL)
            killed += 1
        except OSError:
            continue
    return killed
