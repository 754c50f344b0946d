"""How fast a CSV file must be replayed to fit into the demo's time."""

import csv
from datetime import datetime


def _timestamp(text):
    try:
        return datetime.strptime(text.strip()[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None


def replay_options(path, seconds, devices):
    """The options of firmware_sim that publish the whole file in about `seconds`."""
    first = last = None
    rows = 0
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.reader(file)
        next(reader, None)
        for row in reader:
            if not row:
                continue
            rows += 1
            stamp = next((found for found in map(_timestamp, row) if found), None)
            first = first or stamp
            last = stamp or last
    options = ["--replay", path]
    span_s = (last - first).total_seconds() if first and last else 0
    if span_s > 0:
        return options + ["--speed", f"{span_s / seconds:g}"]
    return options + ["--rate", f"{max(rows, 1) / (devices * seconds):g}"]
