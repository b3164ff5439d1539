#!/bin/bash
# accuracy.sh TIERSIM: predicted against measured, as a page on standard output (make accuracy; results/accuracy.md).
set -euo pipefail
tiersim=$1
page=$(mktemp)
trap 'rm -f "$page"' EXIT

held() { # held TITLE TEXT validate's arguments...
    printf '\n## %s\n\n%s\n\n' "$1" "$2"
    "$tiersim" validate "${@:3}" -r "$page" >/dev/null
    cat "$page"
}

cat <<'END'
# Predicted against measured

Written by `make accuracy` from the committed rows (results/calibration) and profiles (configs/profiles); the error of a point is
|predicted / measured - 1|. Held out: one row in three, by a hash of its params that was fixed beforehand (docs/calibrate.md).
END
held "H200, its own profile" \
    "Kernels of \`h200-sxm\` and the copy engine of its node, fitted on two rows of three." \
    h200-sxm results/calibration/h200 --node hgx-h200
held "H200 from H100" \
    "The profile fitted on published timings of an H100, scaled by the datasheets: what a GPU without a profile of its own gets." \
    h100-sxm results/calibration/h200 --gpu h200-sxm

printf '\n## A serving loop\n\n%s\n\n```\n' "A continuous-batching loop over the real decoder, paged pool, pinned DRAM and disk \
(validate/loop), on the same trace: measured against what \`configs/scenarios/measured-loop.yaml\` gives. Targets: p50 and p90 within 5 %, p99 within 10 %."
"$tiersim" validate configs/scenarios/measured-loop.yaml results/calibration/h200/loop_1.94.csv@1.94
printf '```\n'
