#!/usr/bin/env python3
"""Fetches the jars of a real Kafka from Maven Central, for tests: kafka_jars.py FOLDER

Puts them into FOLDER/jars and prints "ok ..."; or prints one line that says why it cannot, and exits with 1.
What is there already is kept. Maven's own words stand in FOLDER/mvn.log.
"""
import os
import shutil
import subprocess
import sys
import time

RECIPE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kafka_jars.xml")
SILENCE_S = 30  # Maven says something for every file: silent for this long, nobody answers
TIMEOUT_S = 300


def is_current(folder):
    """Are all jars there, by the recipe as it is now?"""
    mark = os.path.join(folder, "installed")
    return os.path.exists(mark) and os.path.getmtime(mark) > os.path.getmtime(RECIPE)


def run_maven(folder, log_path):
    """None when it was successful, else why not."""
    command = ["mvn", "--batch-mode", "--strict-checksums", "--file", RECIPE, "dependency:copy-dependencies",
               f"-DoutputDirectory={os.path.join(folder, 'new')}"]
    with open(log_path, "wb") as log:
        maven = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    started = heard = time.monotonic()
    size = 0
    try:
        while maven.poll() is None:
            time.sleep(0.1)
            now = time.monotonic()
            if os.path.getsize(log_path) != size:
                size, heard = os.path.getsize(log_path), now
            if now - heard > SILENCE_S:
                return f"Maven Central does not answer (nothing for {SILENCE_S} s)"
            if now - started > TIMEOUT_S:
                return f"Maven Central is too slow (more than {TIMEOUT_S} s)"
    finally:
        if maven.poll() is None:
            maven.kill()
            maven.wait()
    return None if maven.returncode == 0 else f"Maven could not fetch its jars (log: {log_path})"


def fetch(folder):
    """None when the jars are there, else why not."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            return f"{program} is not here"
    new, jars = os.path.join(folder, "new"), os.path.join(folder, "jars")
    os.makedirs(folder, exist_ok=True)
    shutil.rmtree(new, ignore_errors=True)
    problem = run_maven(folder, os.path.join(folder, "mvn.log"))
    if problem is None:
        shutil.rmtree(jars, ignore_errors=True)
        os.rename(new, jars)
        with open(os.path.join(folder, "installed"), "w", encoding="ascii"):
            pass
    shutil.rmtree(new, ignore_errors=True)
    return problem


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = os.path.abspath(sys.argv[1])
    problem = None if is_current(folder) else fetch(folder)
    print(problem or f"ok {os.path.join(folder, 'jars')}")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
