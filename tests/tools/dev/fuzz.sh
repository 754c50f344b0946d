# shellcheck shell=bash
# ./dev fuzz: the libFuzzer targets of the asan build, each from its seed corpus tests/fuzz/corpus/NAME.
# What they find interesting is kept in build/fuzz-corpus/NAME, what breaks them in build/fuzz-artifacts.

FUZZ_RESULTS=() # "NAME CODE"

fuzz_build() {
    note "fuzz: build"
    dev_certificates >/dev/null || return 1 # the TLS fuzzer's
    build_preset asan build/test-logs/build-fuzz.log fuzzers
}

fuzz_names() {
    local path
    for path in build/asan/fuzz/*; do
        [ ! -f "$path" ] || [ ! -x "$path" ] || basename "$path"
    done
}

# fuzz_one SECONDS NAME
fuzz_one() {
    local seconds=$1 name=$2
    local -a corpora=("build/fuzz-corpus/$name")
    mkdir -p "${corpora[0]}" build/fuzz-artifacts
    [ ! -d "tests/fuzz/corpus/$name" ] || corpora+=("tests/fuzz/corpus/$name")
    nice "build/asan/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz-artifacts/$name-" "${corpora[@]}"
}

# fuzz_all SECONDS [NAME...]: as many at a time as there are cores; fills FUZZ_RESULTS.
fuzz_all() {
    local seconds=$1 name log code
    shift
    local -a names=("$@") batch=() pids=()
    ((${#names[@]})) || mapfile -t names < <(fuzz_names)
    FUZZ_RESULTS=()
    mkdir -p build/test-logs
    while ((${#names[@]})); do
        batch=("${names[@]:0:$(jobs_count)}") pids=()
        names=("${names[@]:${#batch[@]}}")
        note "fuzz: ${batch[*]}, $seconds s"
        for name in "${batch[@]}"; do
            set -m
            fuzz_one "$seconds" "$name" >"build/test-logs/fuzz-$name.log" 2>&1 </dev/null &
            set +m
            pids+=($!)
        done
        CHILD=${pids[*]}
        for name in "${batch[@]}"; do
            code=0 log=build/test-logs/fuzz-$name.log
            wait "${pids[0]}" || code=$?
            pids=("${pids[@]:1}")
            FUZZ_RESULTS+=("$name $code")
            if ((code)); then
                note "fuzz: $name broke with exit code $code; the end of $log:"
                tail -n 40 "$log"
            else
                note "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: */inputs /p' "$log")"
            fi
        done
        # shellcheck disable=SC2034 # common.sh reads it
        CHILD=''
    done
}

cmd_fuzz() {
    local seconds=60 result failed=0
    local -a names=()
    while (($#)); do
        case $1 in
        --seconds)
            seconds=${2:?--seconds wants a number}
            shift
            ;;
        *) names+=("fuzz_${1#fuzz_}") ;;
        esac
        shift
    done
    # Before the build, which takes minutes.
    for result in "${names[@]}"; do
        [ -f "tests/fuzz/$result.cpp" ] ||
            die "no fuzzer '$result'; there are: $(cd tests/fuzz && printf '%s ' fuzz_*.cpp | sed 's/\.cpp//g')"
    done
    cmd_setup build test
    fuzz_build || die "the build of the fuzzers failed"
    fuzz_all "$seconds" "${names[@]}"
    for result in "${FUZZ_RESULTS[@]}"; do [[ $result == *" 0" ]] || failed=$((failed + 1)); done
    say "$((${#FUZZ_RESULTS[@]} - failed)) fuzzers passed, $failed failed"
    ((failed == 0))
}
