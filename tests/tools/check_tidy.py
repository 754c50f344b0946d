#!/usr/bin/env python3
"""Runs clang-tidy over the sources, newest changes first, within a budget of time.

usage: check_tidy.py [--seconds N] [FILE...]     N = 0 (the default): no limit

What was found good is remembered with the hash of the file and its includes, so the next run goes on where this one ended.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys
import time

import repo


def changed_first(root, names):
    """Sources that differ from the last commit but one, then the others: what is new is most likely wrong."""
    diff = subprocess.run(["git", "diff", "--name-only", "HEAD~1"], cwd=root, text=True, capture_output=True, check=False)
    changed = set(diff.stdout.split())
    return sorted(names, key=lambda name: (name not in changed, name))


def tidy(root, name):
    """clang-tidy's findings; empty when there are none."""
    command = ["clang-tidy", "--quiet", "--warnings-as-errors=*", name, "--", "-xc++", "-w", *repo.COMPILE_FLAGS]
    command += ['-DSLUICE_SOURCE_DIR="."', '-DSLUICE_BINARY_DIR="build"']
    done = subprocess.run(command, cwd=root, text=True, capture_output=True, check=False)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0, help="stop starting new files after this time; 0: never")
    parser.add_argument("files", nargs="*", help="only these; default: all sources")
    return parser.parse_args()


def main():
    options, root, start = parse(), repo.project_root(), time.monotonic()
    hashes, good = repo.IncludeHash(root), repo.GoodHashes(root, "tidy")
    salt = (root / ".clang-tidy").read_text()
    names = options.files or [name for name in repo.files_of_kind(root, "cpp") if name.endswith(".cpp")]
    keys = {name: hashes.of(name, salt) for name in names}
    todo = changed_first(root, [name for name in names if keys[name] not in good])

    def judge(name):
        if options.seconds and time.monotonic() - start > options.seconds:
            return None
        return tidy(root, name)

    problems, left = [], 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("SLUICE_JOBS", os.cpu_count() or 1))) as pool:
        for name, findings in zip(todo, pool.map(judge, todo)):
            if findings is None:
                left += 1
            elif findings:
                problems.append(findings)
            else:
                good.add(keys[name])
    good.save()
    rest = f"; {left} left for the next run" if left else ""
    return repo.report(problems, f"clang-tidy: {len(names) - left} of {len(names)} files are good{rest}")


if __name__ == "__main__":
    sys.exit(main())
