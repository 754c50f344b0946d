# shellcheck shell=bash
# ./dev sim: the simulation by hand; the options are the program's own.

cmd_sim() {
    cmd_setup build
    cmd_build simulation
    exec build/release/tests/simulation "$@"
}
