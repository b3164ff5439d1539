#!/usr/bin/env bash
# Runs benchmarks one after another, each of which prints a JSON object, and puts the objects into one file with the
# machine, the compiler and the version. Usage: tools/bench.sh OUT PROGRAM...; BUILD, CC: as in the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$1
shift
build=${BUILD:-build}
export TIERSIM=$build/tiersim

quoted() { printf '"%s"' "$(printf '%s' "$1" | tr -d '\n' | sed 's/[\\"]/\\&/g')"; }

{
    printf '{"machine": %s,\n' "$(quoted "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)")"
    printf '"cores": %d,\n' "$(nproc)"
    printf '"memory_gib": %s,\n' "$(awk '/^MemTotal/ { printf "%.1f", $2 / 1048576 }' /proc/meminfo)"
    printf '"compiler": %s,\n' "$(quoted "$("${CC:-gcc}" --version | head -n 1)")"
    printf '"flags": %s,\n' "$(quoted "$(head -n 1 "$build/flags")")"
    printf '"version": %s,\n' "$(quoted "$(tools/version.sh)")"
    printf '"date": "%s",\n"benchmarks": [' "$(date -u +%Y-%m-%d)"
    separator=''
    for program; do
        echo "bench: ${program##*/}" >&2
        printf '%s\n' "$separator"
        "$program"
        separator=','
    done
    printf ']}\n'
} >"$out.new"
mv "$out.new" "$out"
