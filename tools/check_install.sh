#!/usr/bin/env bash
# Installs below a folder of the build, then uses only what is there, from elsewhere: the program finds its catalogues,
# the headers compile into a policy, uninstall leaves nothing.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
make=${MAKE:-make}
mkdir -p "$build/check"
root=$(cd "$build/check" && pwd)/root
rm -rf "$root"
"$make" -s --no-print-directory BUILD="$build" DESTDIR="$root" install >/dev/null
prefix=$("$make" -s --no-print-directory print-prefix)
installed=$root$prefix
(cd / && TIERSIM_CONFIGS="$installed/share/tiersim/configs" "$installed/bin/tiersim" list hardware | grep -q h100-sxm)
for header in "$installed"/include/tiersim/policies/*.h; do
    echo "#include \"policies/${header##*/}\""
done >"$root/policy.c"
"${CC:-gcc}" -std=c11 -D_GNU_SOURCE -Wall -Werror -shared -fPIC -I"$installed/include/tiersim" -o "$root/policy.so" "$root/policy.c"
"$make" -s --no-print-directory BUILD="$build" DESTDIR="$root" uninstall
left=$(find "$root" -type f ! -name 'policy.*')
[ -z "$left" ] || { echo "uninstall leaves: $left"; exit 1; }
