#!/bin/sh
# Builds tiersim-calibrate with the CUDA toolkit and libc alone, and runs it: validate/run.sh OUTPUT_DIR [options].
# NVCC, ARCH (sm_90) and BUILD (a folder of its own) can be given. Exit code 1: some rows failed, the rest are there.
set -eu
cd "$(dirname "$0")/.."
out=${1:?usage: validate/run.sh OUTPUT_DIR [options of tiersim-calibrate]}
shift
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
build=${BUILD:-build}/calibrate
mkdir -p "$build" "$out"
rm -f "$build"/*.o
jobs=
for f in validate/cuda/*.cu validate/kernels/*.cu validate/micro/*.cu validate/step/*.cu validate/loop/*.cu; do
    [ -e "$f" ] || continue
    "$nvcc" -std=c++17 -O2 -I. -D_GNU_SOURCE -arch="${ARCH:-sm_90}" -c "$f" -o "$build/$(echo "${f%.cu}" | tr / _).o" &
    jobs="$jobs $!"
done
for j in $jobs; do wait "$j"; done
# As the sources ask: __has_include(<cudnn.h>). CPATH and LIBRARY_PATH say where else to look.
libs=
for have in cudnn.h:cudnn:prefill,versus nccl.h::collectives cufile.h::"cuFile of ssd"; do
    header=${have%%:*} rest=${have#*:}
    if echo "#include <$header>" | "$nvcc" -x cu -E - >/dev/null 2>&1; then
        [ -z "${rest%%:*}" ] || libs="$libs -l${rest%%:*}" # NCCL and cuFile are opened at run time
    else
        echo "$header was not found: ${rest#*:} will be skipped"
    fi
done
# shellcheck disable=SC2086 # a list of libraries
"$nvcc" -arch="${ARCH:-sm_90}" -o "$build/tiersim-calibrate" "$build"/*.o -lcublas -lcublasLt $libs -ldl
exec "$build/tiersim-calibrate" -o "$out" "$@"
