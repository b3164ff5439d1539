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

other() { # other TITLE TEXT validate's arguments...: as a table for the terminal
    printf '\n## %s\n\n%s\n\n```\n' "$1" "$2"
    "$tiersim" validate "${@:3}" | sed '/./,$!d'
    printf '```\n'
}
other "Another H200" \
    "The same profile against rows of another H200, none of which it has seen: what two machines of one kind differ by is in these figures." \
    h200-sxm results/calibration/h200-other --node hgx-h200
loop=configs/scenarios/measured-loop.yaml
other "A serving loop at 40 % load" \
    "A continuous-batching loop over the real decoder, paged pool, pinned DRAM and disk (validate/loop), on the same trace: measured against \
what \`$loop\` gives. Targets: p50 and p90 within 5 %, p99 within 10 %. First the machine of the profile, then the other." \
    $loop results/calibration/h200{,-other}/loop_1.94.csv@1.94
other "A serving loop at 70 % load" \
    "Three runs of the same requests: one on the machine of the profile, two on a third H200. They differ by up to 46 % in TTFT p50, by 26 % in \
p90 and by 13 % in p99, since queues at that load multiply a step's two percent; the prediction lies between them in each quantile." \
    $loop results/calibration/h200/loop_3.42.csv@3.42 results/calibration/h200-other/loop{,-again}_3.42.csv@3.42
