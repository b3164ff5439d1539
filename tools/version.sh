#!/usr/bin/env bash
# The version of this tree: from git; without git, the commit that .git names; without that, "unknown".
cd "$(dirname "$0")/.." || exit 1
if git describe --tags --always --dirty 2>/dev/null; then
    exit 0
fi
head=$(cat .git/HEAD 2>/dev/null) || { echo unknown; exit 0; }
ref=${head#ref: }
if [ "$ref" = "$head" ]; then
    commit=$head
elif [ -r ".git/$ref" ]; then
    commit=$(cat ".git/$ref")
else
    commit=$(sed -n "s|^\([0-9a-f]*\) $ref\$|\1|p" .git/packed-refs 2>/dev/null)
fi
commit=${commit:-unknown}
echo "${commit:0:7}"
