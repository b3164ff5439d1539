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
for f in validate/cuda/*.cu validate/kernels/*.cu validate/micro/*.cu; do
    "$nvcc" -std=c++17 -O2 -I. -D_GNU_SOURCE -arch="${ARCH:-sm_90}" -c "$f" -o "$build/$(echo "${f%.cu}" | tr / _).o" &
    jobs="$jobs $!"
done
for j in $jobs; do wait "$j"; done
cudnn= # as the sources ask: __has_include(<cudnn.h>)
echo '#include <cudnn.h>' | "$nvcc" -x cu -E - >/dev/null 2>&1 && cudnn=-lcudnn
"$nvcc" -arch="${ARCH:-sm_90}" -o "$build/tiersim-calibrate" "$build"/*.o -lcublas $cudnn -ldl
exec "$build/tiersim-calibrate" -o "$out" "$@"
