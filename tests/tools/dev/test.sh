# shellcheck shell=bash
# ./dev test: legs, each a build and its tests; one line of totals at the end.
# shellcheck source=tests/tools/dev/lint.sh
. "$TOOLS/dev/lint.sh"
# shellcheck source=tests/tools/dev/fuzz.sh
. "$TOOLS/dev/fuzz.sh"

LOGS=build/test-logs
PASSED=0 FAILED=0 SKIPPED=0
FAILURES=()
CTEST_ARGUMENTS=()
LEGS_LEFT=() # after the one that runs

# count PASSED FAILED SKIPPED
count() {
    PASSED=$((PASSED + $1)) FAILED=$((FAILED + $2)) SKIPPED=$((SKIPPED + $3))
}
failure() {
    FAILURES+=("$1")
    note "FAILED: $1"
}

# The output of the failed tests of a ctest log, a hundred lines each.
show_failed_tests() {
    awk '/^ *[0-9]+\/[0-9]+ Test|^ *Start +[0-9]+:|tests passed, .* failed out of/ {show = 0}
         /\*\*\*(Failed|Timeout|Exception|Not Run)|Subprocess (aborted|killed)/ {show = 100}
         show-- > 0' "$1" | head -n 500
}

# read_ctest LEG LOG CODE: adds what ctest counted.
read_ctest() {
    local leg=$1 log=$2 code=$3 total failed skipped name
    total=$(sed -n 's/.*tests passed, [0-9]* tests* failed out of \([0-9]*\).*/\1/p' "$log")
    failed=$(sed -n 's/.*tests passed, \([0-9]*\) tests* failed out of.*/\1/p' "$log")
    skipped=$(grep -ac '\*\*\*Skipped\|(Disabled)$' "$log" || true)
    if [ -z "$total" ]; then
        if ((code == 0)); then return 0; fi # the caller's filter left nothing over
        tail -n 20 "$log"
        count 0 1 0
        failure "$leg: ctest did not finish"
        return 0
    fi
    count $((total - failed - skipped)) "$failed" "$skipped"
    ((failed == 0)) && return 0
    show_failed_tests "$log"
    while read -r name; do failure "$leg: $name"; done < <(
        sed -n '/^The following tests FAILED:/,/^Errors/s/^[[:space:]]*[0-9]* - \(.*\) (.*)$/\1/p' "$log"
    )
}

# The thread sanitizer cannot place its shadow when the kernel randomizes addresses widely; this is harmless for the others.
fixed_addresses() {
    if setarch "$(uname -m)" -R true 2>/dev/null; then setarch "$(uname -m)" -R "$@"; else "$@"; fi
}

sanitizer_options() {
    export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:suppressions=$TOOLS/asan.supp
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$TOOLS/tsan.supp
}

# build_ahead LEG...: while the tests of one leg wait for servers and clocks, what the next legs will need is compiled in the
# time they leave: the kernel runs it only when nobody else wants the processor. What fails here is told when its leg comes.
build_ahead() {
    (($#)) && command -v chrt >/dev/null || return 0
    set -m
    (
        chrt --idle --pid 0 "$BASHPID"
        for leg in "$@"; do
            case $leg in
            lint) lint_headers ;;
            fuzz) ;; # its programs are of the asan build
            *) configure "$leg" && ninja -C "build/$leg" -j "$(jobs_count)" ;;
            esac
        done
    ) >"$LOGS/ahead.log" 2>&1 </dev/null &
    set +m
    AHEAD=$!
}
stop_ahead() {
    [ -n "$AHEAD" ] || return 0
    kill -- "-$AHEAD" 2>/dev/null || true
    wait "$AHEAD" || true
    while kill -0 -- "-$AHEAD" 2>/dev/null; do sleep 0.1; done # ninja takes away what it leaves half done
    AHEAD=
}

# leg_ctest PRESET CTEST ARGUMENTS...: builds everything of a preset and runs its tests.
leg_ctest() {
    local preset=$1 log=$LOGS/$1.log code=0
    shift
    note "$preset: build (log: $LOGS/build-$preset.log)"
    if ! build_preset "$preset" "$LOGS/build-$preset.log" all; then
        count 0 1 0
        failure "$preset: the build"
        return 0
    fi
    note "$preset: tests (log: $log)"
    build_ahead "${LEGS_LEFT[@]}"
    run_logged "$preset" "$log" fixed_addresses ctest --test-dir "build/$preset" -j "$(jobs_count)" \
        --output-on-failure --timeout 300 "$@" "${CTEST_ARGUMENTS[@]}" || code=$?
    stop_ahead
    read_ctest "$preset" "$log" "$code"
}

leg_fuzz() {
    local result code=0
    fuzz_build || { count 0 1 0 && failure "fuzz: the build" && return 0; }
    fuzz_all "${SLUICE_FUZZ_SECONDS:-60}"
    for result in "${FUZZ_RESULTS[@]}"; do
        code=${result##* }
        if ((code == 0)); then count 1 0 0; else
            count 0 1 0
            failure "fuzz: ${result% *}"
        fi
    done
}

leg_lint() {
    local result
    # clang-tidy over all files is ./dev lint --tidy; here it has a share of the time only when one is given.
    if [ -n "${SLUICE_TIDY_SECONDS:-}" ]; then lint_all --tidy-seconds "$SLUICE_TIDY_SECONDS"; else lint_all; fi
    for result in "${LINT_RESULTS[@]}"; do
        case $result in
        passed*) count 1 0 0 ;;
        skipped*) count 0 0 1 ;;
        *)
            count 0 1 0
            failure "lint: ${result#* }"
            ;;
        esac
    done
}

run_leg() {
    local leg=$1 start=$SECONDS before=$PASSED failed_before=$FAILED
    case $leg in
    release | debug) leg_ctest "$leg" ;;
    # The rooms, the ports and the conversations, also with the real process; what waits for RabbitMQ or kills the broker a hundred
    # times is in the release leg.
    asan | tsan) leg_ctest "$leg" -LE "upstream|slow" ;;
    fast) leg_ctest "$(fast_preset)" -LE slow ;;
    fuzz) leg_fuzz ;;
    lint) leg_lint ;;
    *) die "test: no leg '$leg' (release, debug, asan, tsan, fuzz, lint)" ;;
    esac
    note "$leg: $((PASSED - before)) passed, $((FAILED - failed_before)) failed in $((SECONDS - start)) s"
}

# The build that already stands; the debug build is what somebody at work has.
fast_preset() {
    if [ -d build/debug/tests ] && [ ! build/release/tests -nt build/debug/tests ]; then echo debug; else echo release; fi
}

finish() {
    local name
    for name in "${FAILURES[@]}"; do say "failed: $name"; done
    for name in "${LEFT_OUT[@]}"; do say "left out: $name"; done
    if ((SKIPPED)); then
        say "$PASSED passed, $FAILED failed, $SKIPPED skipped"
    else
        say "$PASSED passed, $FAILED failed"
    fi
    ((FAILED == 0 && PASSED > 0))
}

cmd_test() {
    local leg
    local -a legs=()
    while (($#)); do
        case $1 in
        --fast) legs=(fast) ;;
        --leg)
            legs+=("${2:?--leg wants a name}")
            shift
            ;;
        *) CTEST_ARGUMENTS+=("$1") ;;
        esac
        shift
    done
    if ((${#legs[@]} == 0)); then
        legs=(release asan fuzz tsan lint)
        # With a filter for ctest only the legs that ctest runs make sense.
        if ((${#CTEST_ARGUMENTS[@]})); then legs=(release asan tsan); fi
    fi
    if ((${#CTEST_ARGUMENTS[@]})); then CTEST_ARGUMENTS+=(--no-tests=ignore); else CTEST_ARGUMENTS=(--no-tests=error); fi
    if [[ " ${legs[*]} " == *" lint "* ]]; then cmd_setup build peers test lint; else cmd_setup build peers test; fi
    setup_mqtt_js
    setup_kafka
    sanitizer_options
    LEGS_LEFT=("${legs[@]}")
    for leg in "${legs[@]}"; do
        LEGS_LEFT=("${LEGS_LEFT[@]:1}")
        run_leg "$leg"
    done
    finish
}
