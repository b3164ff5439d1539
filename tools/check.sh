#!/usr/bin/env bash
# Every check of the tree, stage by stage, and a closing line `N passed, N failed, N skipped`: test cases of the cmocka
# programs, and one for each other check. Usage: tools/check.sh [STAGE...]; `make check` runs all of them.
# BUILD: build folder. JOBS: how many at a time. FUZZ_SECONDS: time for each fuzz target. TEST_SECONDS: most time for one
# test program. CI=true: warnings are errors.
set -u
cd "$(dirname "$0")/.." || exit 2

stages=(rooms scripts format build tests san fuzz tidy docs notebooks install)
build=${BUILD:-build}
jobs=${JOBS:-$(nproc)}
make=${MAKE:-make}
results=$build/check
fuzz_seconds=${FUZZ_SECONDS:-60}
test_seconds=${TEST_SECONDS:-600}
notebook_seconds=120
sanitizers=address,undefined
failure_lines=200
export results test_seconds build make fuzz_seconds failure_lines
export UBSAN_OPTIONS=print_stacktrace=1:${UBSAN_OPTIONS:-}

# record CHECK PASSED FAILED SKIPPED [LOG [NOTE]]: one line in the results, one for the reader; the log if it failed.
record() {
    printf '%s %d %d %d\n' "$1" "$2" "$3" "$4" >>"$results/counts"
    local line
    line=$(printf '%-32s %4d passed' "$1" "$2")
    [ "$4" -gt 0 ] && line+=", $4 skipped"
    if [ "$3" -gt 0 ]; then
        line+=", $3 FAILED"
        [ -n "${5:-}" ] && [ -e "$5" ] && line+=$'\n'$(tail -n "$failure_lines" "$5" | sed 's/^/    | /')
    fi
    [ -n "${6:-}" ] && line+=$'\n'$6
    cat <<<"$line" # one write: several checks report at a time
}

# run_program PREFIX PROGRAM: a test program. cmocka answers in TAP on stdout; a program without cmocka passes by
# exit code 0, is skipped by 77.
run_program() {
    local name passed failed skipped rc log
    name=$1${2##*/}
    log=$results/$name.log
    if [ ! -x "$2" ]; then
        echo "$2 was not built: see above" >"$log"
        record "$name" 0 1 0 "$log"
        return
    fi
    CMOCKA_MESSAGE_OUTPUT=TAP TIERSIM=${2%/tests/*}/tiersim timeout "$test_seconds" "$2" \
        >"$log.out" 2>"$log.err" </dev/null
    rc=$?
    # A test that forks may print a line of its parent's again: a line counts once.
    read -r passed failed skipped <<<"$(awk '
        seen[$0]++ { next }
        /^(not )?ok [0-9]+ # SKIP/ { skipped++; next }
        /^ok [0-9]+ /     { passed++ }
        /^not ok [0-9]+ / { failed++ }
        END { print passed + 0, failed + 0, skipped + 0 }' "$log.out")"
    if [ $((passed + failed + skipped)) -eq 0 ]; then
        case $rc in 0) passed=1 ;; 77) skipped=1 ;; *) failed=1 ;; esac
    elif [ "$rc" -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1
    fi
    { cat "$log.out" "$log.err"; echo "$2 ended with exit code $rc$([ "$rc" -eq 124 ] && echo ': out of time')"; } >"$log"
    # Why a test was skipped is the last thing that it said.
    record "$name" "$passed" "$failed" "$skipped" "$log" "$(awk '
        /^(not )?ok [0-9]+ # SKIP/ { sub(/.*# SKIP */, ""); print "    skipped " $0 (said == "" ? "" : ": " said) }
        { said = /^(not )?ok / ? "" : $0 }' "$log.out")"
}

# run_fuzzer TARGET: a libFuzzer program on its corpus; what it finds stays in the build folder.
run_fuzzer() {
    local name log corpus seeds=()
    name=${1##*/}
    log=$results/fuzz_$name.log
    corpus=$build/fuzz/corpus/$name
    mkdir -p "$corpus" "$build/fuzz/crashes"
    if [ -d "tests/fuzz/corpus/$name" ]; then seeds=("tests/fuzz/corpus/$name"); fi
    if [ ! -x "$1" ]; then
        echo "$1 was not built: see above" >"$log"
        record "fuzz_$name" 0 1 0 "$log"
    elif "$1" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/fuzz/crashes/$name-" "$corpus" "${seeds[@]}" >"$log" 2>&1; then
        record "fuzz_$name" 1 0 0 "" "$(sed -n 's/^stat::number_of_executed_units: */    inputs tried: /p' "$log")"
    else
        record "fuzz_$name" 0 1 0 "$log" "    hint: once it is mended, put the input into tests/fuzz/corpus/$name"
    fi
}

# simple CHECK COMMAND...: passes when the command does.
simple() {
    local name=$1 log=$results/$1.log
    shift
    if "$@" >"$log" 2>&1; then record "$name" 1 0 0; else record "$name" 0 1 0 "$log"; fi
}

skip() { record "$1" 0 0 1 "" "    skipped: $2"; }

have() { command -v "$1" >/dev/null 2>&1; }

# each FUNCTION PREFIX NAME...: runs the function on each name, several at a time.
each() {
    local function=$1 prefix=$2
    shift 2
    [ $# -gt 0 ] && printf '%s\0' "$@" | xargs -0 -n 1 -P "$jobs" bash -c "$function $prefix \"\$0\""
}
export -f record run_program run_fuzzer

run_tests() { # run_tests PREFIX BUILD_DIR [make variables]
    local prefix=$1 dir=$2 log=$results/$1build.log names
    shift 2
    "$make" -k -j"$jobs" BUILD="$dir" "$@" all tests >"$log" 2>&1 || grep -E 'error|Error|warning|undefined' "$log" | head -n 60
    read -ra names <<<"$("$make" -s --no-print-directory BUILD="$dir" "$@" list-tests)"
    each run_program "${prefix:-''}" "${names[@]}"
}

stage_rooms() { simple rooms tools/rooms.sh; }
stage_scripts() {
    if have shellcheck; then
        simple scripts shellcheck quickstart .ci/run tools/*.sh
    else
        skip scripts "shellcheck is not installed"
    fi
}
stage_format() {
    if have clang-format; then
        simple format "$make" --no-print-directory format-check
    else
        skip format "clang-format is not installed"
    fi
}
stage_build() { simple build "$make" --no-print-directory -j"$jobs" BUILD="$build" all; }
stage_tests() { run_tests "" "$build"; }
stage_san() { run_tests san_ "$build/san" SAN=$sanitizers; }
stage_fuzz() {
    local names dir=$build/fuzz log=$results/fuzz_build.log
    read -ra names <<<"$("$make" -s --no-print-directory BUILD="$dir" list-fuzzers)"
    if [ ${#names[@]} -eq 0 ]; then
        skip fuzz "tests/fuzz holds no target"
    elif ! have clang; then
        skip fuzz "clang is not installed"
    else
        "$make" -k -j"$jobs" BUILD="$dir" CC=clang CXX=clang++ SAN=$sanitizers,fuzzer-no-link fuzzers >"$log" 2>&1 ||
            grep -E 'error|Error|undefined' "$log" | head -n 60
        each run_fuzzer "" "${names[@]}"
    fi
}
stage_tidy() {
    if have clang-tidy; then
        simple tidy "$make" --no-print-directory -k -j"$jobs" BUILD="$build" tidy
        [ -s "$results/tidy.log" ] && grep -c 'warning:' "$results/tidy.log" | sed 's/^/    warnings: /'
    else
        skip tidy "clang-tidy is not installed"
    fi
}
# The generated pages say what the option tables say.
stage_docs() { simple docs "$make" --no-print-directory BUILD="$build" docs-check; }
# Every notebook runs through, on what is committed.
stage_notebooks() {
    local notebook
    for notebook in notebooks/*.ipynb; do
        if ! /usr/bin/python3 -c 'import matplotlib' 2>/dev/null; then
            skip "$(basename "$notebook")" "python3-matplotlib is not installed"
        else
            simple "$(basename "$notebook")" env TIERSIM="$build/tiersim" timeout "$notebook_seconds" \
                tools/notebook.py "$notebook" -o "$build/notebooks"
        fi
    done
}
# An installed tiersim finds its catalogues from anywhere, and its headers suffice for a policy outside the tree.
stage_install() { simple install tools/check_install.sh; }

rm -rf "$results"
mkdir -p "$results"
: >"$results/counts"
[ $# -gt 0 ] && stages=("$@")
for stage in "${stages[@]}"; do
    start=$SECONDS
    echo "== $stage"
    "stage_$stage"
    echo "   ($((SECONDS - start)) s)"
done
awk '$3 > 0 { print "FAILED: " $1 }' "$results/counts"
awk '{ p += $2; f += $3; s += $4 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p == 0 }' \
    "$results/counts"
