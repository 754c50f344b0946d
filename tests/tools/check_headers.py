#!/usr/bin/env python3
"""Compiles every header alone: a header that needs its includer's includes breaks whoever includes it next.

A header whose text and includes have not changed since its last good verdict is not compiled again.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import repo

SHIPPED = ("broker/", "bridge/", "firmware_sim/", "tests/support/")


def compile_alone(root, header):
    """The compiler's complaint; empty when there is none."""
    command = [os.environ.get("CXX", "g++"), "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *repo.COMPILE_FLAGS, "-xc++", "-"]
    text = f'#include "{header}"\n#include "{header}"\n'  # twice: an include guard is wanted too
    done = subprocess.run(command, cwd=root, input=text, text=True, capture_output=True, check=False)
    return done.stderr if done.returncode else ""


def main():
    root = repo.project_root()
    hashes, good = repo.IncludeHash(root), repo.GoodHashes(root, "headers")
    headers = [name for name in repo.files_of_kind(root, "header") if name.startswith(SHIPPED)]
    keys = {name: hashes.of(name, salt="header") for name in headers}
    todo = [name for name in headers if keys[name] not in good]
    problems = []
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("SLUICE_JOBS", os.cpu_count() or 1))) as pool:
        for name, complaint in zip(todo, pool.map(lambda name: compile_alone(pathlib.Path(root), name), todo)):
            if complaint:
                problems.append(f"{name}: does not compile alone:\n{complaint}")
            else:
                good.add(keys[name])
                good.save()  # who is stopped on the way has not worked in vain
    return repo.report(problems, f"headers: all {len(headers)} compile alone ({len(todo)} compiled now)")


if __name__ == "__main__":
    sys.exit(main())
