# shellcheck shell=bash
# ./dev bench: ratios against Debian's Mosquitto, measured in the same run; --micro: single steps.

cmd_bench() {
    cmd_setup build peers
    cmd_build bench_programs
    require_program bench_load
    if [ "${1:-}" = --micro ]; then
        shift
        require_program bench_micro
        exec build/release/bin/bench_micro "$@"
    fi
    dev_certificates >/dev/null
    exec python3 tests/bench/bench.py "$@"
}
