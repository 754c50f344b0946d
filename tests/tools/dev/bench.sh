# shellcheck shell=bash
# ./dev bench: ratios against Debian's Mosquitto, measured in the same run.

cmd_bench() {
    cmd_setup build peers
    cmd_build programs
    require_program sluiced
    exec python3 tests/bench/bench.py "$@"
}
