# shellcheck shell=bash
# ./dev lint: each check is a function that returns 0 (good), 77 (cannot be done here, it says why) or anything else (bad).

LINT_RESULTS=() # "passed NAME", "skipped NAME" or "failed NAME"
CLANG_FORMAT_VERSION=14 # other versions break lines in other places

list_files() { python3 "$TOOLS/repo.py" "$1"; }

lint_floors() { python3 "$TOOLS/check_floors.py"; }
lint_lengths() { python3 "$TOOLS/check_lengths.py"; }
lint_headers() { python3 "$TOOLS/check_headers.py"; }
lint_conformance() { python3 "$TOOLS/conformance.py" --check; }

lint_format() {
    local version mode=(--dry-run -Werror)
    version=$(clang-format --version | grep -oE '[0-9]+' | head -n 1)
    if [ "$version" != "$CLANG_FORMAT_VERSION" ]; then
        say "format: clang-format $CLANG_FORMAT_VERSION (Debian 12) is the measure, this is $version"
        return 77
    fi
    [ -z "$LINT_FIX" ] || mode=(-i)
    list_files cpp | xargs -r -d '\n' -P 2 -n 25 clang-format "${mode[@]}" || return 1
    say "format: good"
}

lint_shell() {
    if ! command -v shellcheck >/dev/null; then
        say "shell: shellcheck is not installed"
        return 77
    fi
    list_files shell | xargs -r -d '\n' shellcheck -x || return 1
    say "shell: good"
}

lint_python() {
    list_files python | xargs -r -d '\n' python3 -W error -c '
import sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        compile(file.read(), name, "exec")' || return 1
    say "python: good"
}

# A key in the repository is a key that everybody has: development keys are made by certs/make-dev-certs. The words
# alone, as tests of damaged files need them, are no key: a key has a line of base64 below them.
PRIVATE_KEY='-----BEGIN ([A-Z]+ )*PRIVATE[ ]KEY-----[\\\\n"\s]*([\w-]+:.*\s+)*[A-Za-z0-9+/]{40}'
lint_secrets() {
    local found
    found=$(list_files all | xargs -r -d '\n' grep -lzP -e "$PRIVATE_KEY" || true)
    if [ -n "$found" ]; then
        say "secrets: a private key stands in: $found"
        return 1
    fi
    say "secrets: no private key is committed"
}

lint_tidy() {
    command -v clang-tidy >/dev/null || { say "tidy: clang-tidy is not installed" && return 77; }
    python3 "$TOOLS/check_tidy.py" --seconds "$LINT_TIDY_SECONDS"
}

# lint_all [--fix] [--tidy | --tidy-seconds N]: fills LINT_RESULTS.
LINT_FIX='' LINT_TIDY_SECONDS=''
lint_all() {
    local name code
    local -a checks=(floors lengths format shell python secrets conformance headers)
    while (($#)); do
        case $1 in
        --fix) LINT_FIX=1 ;;
        --tidy) LINT_TIDY_SECONDS=0 ;;
        --tidy-seconds)
            LINT_TIDY_SECONDS=$2
            shift
            ;;
        *) die "lint: no option '$1' (--fix, --tidy, --tidy-seconds N)" ;;
        esac
        shift
    done
    [ -z "$LINT_TIDY_SECONDS" ] || checks+=(tidy)
    LINT_RESULTS=()
    for name in "${checks[@]}"; do
        note "lint: $name"
        code=0
        logged_lint "$name" || code=$?
        case $code in
        0) LINT_RESULTS+=("passed $name") ;;
        77) LINT_RESULTS+=("skipped $name") ;;
        *) LINT_RESULTS+=("failed $name") ;;
        esac
    done
}

# The check's output, with signs of life for the long ones.
logged_lint() {
    local log=build/test-logs/lint-$1.log code=0
    run_logged "lint $1" "$log" "lint_$1" || code=$?
    cat "$log"
    return "$code"
}

cmd_lint() {
    local failed
    cmd_setup build test lint
    lint_all "$@"
    failed=$(printf '%s\n' "${LINT_RESULTS[@]}" | grep -c '^failed' || true)
    say "$((${#LINT_RESULTS[@]} - failed)) checks passed or skipped, $failed failed"
    ((failed == 0))
}
