# shellcheck shell=bash
# ./dev build, run, demo, and the build step that the other commands share.

# configure PRESET [CMAKE ARGUMENTS]: only when needed; ninja repeats it by itself when a CMake file changes.
configure() {
    local preset=$1
    shift
    if [ -f "build/$preset/build.ninja" ] && [ $# -eq 0 ]; then return 0; fi
    cmake --preset "$preset" "$@"
}

# build_preset PRESET LOG [TARGETS]: quiet; on failure the first errors of the log.
build_preset() {
    local preset=$1 log=$2
    shift 2
    run_logged "configure $preset" "$log.configure" configure "$preset" ||
        { tail -n 30 "$log.configure" && return 1; }
    run_logged "build $preset" "$log" nice ninja -C "build/$preset" -j "$(jobs_count)" -k 5 "$@" ||
        { grep -aE -A 12 'FAILED:|error:|ninja: error' "$log" | head -n 80 && return 1; }
}

# The programs and modules that a user gets; tests are built by ./dev test.
cmd_build() {
    cmd_setup build
    note "build: release"
    build_preset release build/test-logs/build-release.log "${@:-programs}" || die "the build failed"
    note "build: done; programs in build/release/bin"
}

# require_program NAME: a clear word instead of "No such file".
require_program() {
    [ -x "build/release/bin/$1" ] || die "build/release/bin/$1 was not built: this tree does not hold it yet"
}

dev_certificates() {
    [ -x certs/make-dev-certs ] || die "certs/make-dev-certs is missing"
    certs/make-dev-certs --out build/certs
}

cmd_run() {
    cmd_build programs
    require_program sluiced
    dev_certificates
    mkdir -p build/dev/data
    cat <<END

Sluice runs with docs/examples/dev.toml until Ctrl-C. In another terminal:
    mosquitto_sub -h 127.0.0.1 -p 1883 -t 'demo/#' -v
    mosquitto_pub -h 127.0.0.1 -p 1883 -t demo/hello -m 'from a plain client' -q 1
    mosquitto_pub -h localhost -p 8883 --cafile build/certs/ca.crt -t demo/hello -m 'over TLS' -q 1
    mosquitto_pub -h localhost -p 8883 --cafile build/certs/ca.crt --cert build/certs/device-0001.crt \
        --key build/certs/device-0001.key -t demo/hello -m 'with a certificate of its own' -q 1
END
    exec build/release/bin/sluiced --config docs/examples/dev.toml "$@"
}

DEMO=tests/tools/demo/demo.py
cmd_demo() {
    cmd_setup build peers
    cmd_build demo_programs
    [ -f "$DEMO" ] || die "$DEMO is missing: this tree does not hold the demo yet"
    exec python3 "$DEMO" --build-dir build/release "$@"
}
