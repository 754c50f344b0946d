# shellcheck shell=bash
# What every command of ./dev shares: messages with the elapsed time, and long jobs with a log and a sign of life.

say() { printf '%s\n' "$*"; }
note() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# Compilers of big headers take about 1 GB each: as many jobs as cores, fewer when the memory is small.
jobs_count() {
    local cores kib by_memory
    cores=$(nproc)
    kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
    by_memory=$((kib / 1000000))
    ((by_memory >= 1)) || by_memory=1
    printf '%d\n' "${SLUICE_JOBS:-$((cores < by_memory ? cores : by_memory))}"
}

# What runs now, and what is built beside it; neither must outlive us when somebody presses Ctrl-C.
CHILD= # ids of process groups
AHEAD= # likewise
stop_child() {
    local group
    for group in $CHILD $AHEAD; do kill -- "-$group" 2>/dev/null || true; done
}
trap stop_child EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The last step that ninja ("[12/80]") or ctest (" 12/80 Test") has reported in a log.
last_step() {
    tail -c 8000 "$1" | grep -aoE '^\[[0-9]+/[0-9]+\]|^ *[0-9]+/[0-9]+ Test' | tail -n 1 | grep -oE '[0-9]+/[0-9]+' || printf 'working'
}

# run_logged LABEL LOG COMMAND...: output to LOG, a line of progress every 15 seconds, the command's exit code.
run_logged() {
    local label=$1 log=$2 next=$((SECONDS + 10)) code=0
    shift 2
    mkdir -p "$(dirname "$log")"
    set -m # a process group of its own, so that all of it can be stopped
    "$@" >"$log" 2>&1 </dev/null &
    set +m
    CHILD=$!
    while kill -0 "$CHILD" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS >= next)); then
            note "$label: $(last_step "$log")"
            next=$((SECONDS + 15))
        fi
    done
    wait "$CHILD" || code=$?
    CHILD=
    return "$code"
}
