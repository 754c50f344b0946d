"""The live view: a block that is redrawn on a terminal, plain lines elsewhere."""

import shutil
import sys
import time


def _figure(value):
    return "-" if value is None else str(value)


def format_view(state):
    """The lines of the block."""
    rates = state["rates"]
    lines = [
        f"[{state['seconds']:3.0f} s, {max(0, state['left']):.0f} s to go] {state['now']}",
        f"  devices    {_figure(state['connected'])} of {state['devices']} connected, "
        f"published {state['published']} ({rates.get('published', 0):.0f}/s), "
        f"acknowledged {state['acknowledged']} ({rates.get('acknowledged', 0):.0f}/s)",
    ]
    for name, arrived in state["arrived"].items():
        bridge = state["bridges"].get(name, {})
        reason = bridge.get("reason") or ""
        lines.append(f"  {name:<10} {_figure(bridge.get('state')):<12} "
                     f"spool {_figure(bridge.get('spool_messages')):>6}  "
                     f"arrived {arrived} ({rates.get(name, 0):.0f}/s)" + (f"  {reason}" if reason else ""))
    return lines


class Rates:
    """Differences per second between one look and the next."""

    def __init__(self):
        self.last = {}
        self.last_time = None

    def update(self, figures, now):
        elapsed = now - self.last_time if self.last_time is not None else 0
        rates = {}
        if elapsed > 0:
            rates = {name: max(0, value - self.last.get(name, 0)) / elapsed for name, value in figures.items()}
        self.last, self.last_time = dict(figures), now
        return rates


class View:
    """Draws about once a second on a terminal and every five seconds into a file or a pipe."""

    def __init__(self, stream=sys.stdout):
        self.stream = stream
        self.terminal = stream.isatty()
        self.interval = 1 if self.terminal else 5
        self.next_draw = 0
        self.drawn = 0

    def due(self, now):
        return now >= self.next_draw

    def draw(self, state):
        self.next_draw = time.monotonic() + self.interval
        lines = format_view(state)
        if self.terminal:
            width = shutil.get_terminal_size().columns
            self.clear()
            lines = [line[:max(20, width - 1)] for line in lines]
            self.drawn = len(lines)
        self._write("\n".join(lines) + "\n")

    def say(self, text):
        """A line that stays."""
        self.clear()
        self._write(text + "\n")

    def clear(self):
        if self.drawn:
            self._write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()
