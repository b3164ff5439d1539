#!/usr/bin/env bash
# Proves the two quickstart commands in a bare Debian 12: a root made by debootstrap (minbase: no compiler, no make, no git),
# with a clone of HEAD in it and, where there is one, the shared folder beside it. Needs debootstrap and root (or sudo).
# The package mirror, its keys, proxy and certificates are those that this machine's apt uses. The bare root is
# kept in $FRESH/base.tar for the next run. FRESH: where (build/fresh). COMMANDS: what to run ("demo check").
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=${FRESH:-$PWD/build/fresh}
commands=${COMMANDS:-demo check}
root=$fresh/root

if [ "${1:-}" != inside ]; then
    command -v debootstrap >/dev/null || { echo "fresh: debootstrap is missing. hint: apt-get install debootstrap" >&2; exit 2; }
    mkdir -p "$fresh"
    # Cloned by whoever owns the tree. What is not committed is not proven.
    rm -rf "$fresh/tree" && git clone -q --no-hardlinks . "$fresh/tree"
    git diff --quiet HEAD || echo "fresh: uncommitted changes are left out" >&2
    as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    # Mounts are made in a namespace of this run's own, so they go with it, however it ends.
    exec "${as_root[@]}" env "PATH=$PATH:/usr/sbin:/sbin" FRESH="$fresh" COMMANDS="$commands" \
        FUZZ_SECONDS="${FUZZ_SECONDS:-}" unshare --mount --pid --fork --kill-child "$0" inside
fi

# The first http(s) address in this machine's apt sources that serves bookworm itself.
mirror() {
    # shellcheck disable=SC2016 # the dollar signs are awk's
    find /etc/apt/sources.list /etc/apt/sources.list.d \( -name '*.list' -o -name '*.sources' \) -exec awk '
        /^URIs:/ { uri = $2 }
        /^Suites:/ && / bookworm( |$)/ { print uri; exit }
        /^deb / && / bookworm main/ { for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) { print $i; exit } }' {} + \
        2>/dev/null
}

make_base() {
    local uri proxy
    uri=$(mirror) || uri=
    proxy=$(apt-config dump --format '%v' Acquire::http::Proxy 2>/dev/null || true)
    [ -z "$proxy" ] || export http_proxy=$proxy
    echo "fresh: debootstrap bookworm" >&2
    debootstrap --variant=minbase bookworm "$root" "${uri:-http://deb.debian.org/debian}" >"$fresh/debootstrap.log" 2>&1 ||
        { tail "$fresh/debootstrap.log" >&2; exit 1; }
    tar -C "$root" -cf "$fresh/base.tar.new" . && mv "$fresh/base.tar.new" "$fresh/base.tar"
}

# How to reach the packages is a fact of this machine; which are there is Debian's.
copy_apt_settings() {
    local source
    rm -f "$root/etc/apt/sources.list"
    mkdir -p "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d" "$root/etc/ssl/certs" "$root/usr/share/keyrings"
    for source in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        if grep -q bookworm "$source" 2>/dev/null; then cp "$source" "$root$source"; fi
    done
    apt-config dump Acquire | grep -iE '::(proxy|verify-peer|cainfo|check-)' >"$root/etc/apt/apt.conf.d/99fresh" || true
    cp -L /usr/share/keyrings/debian-archive-* "$root/usr/share/keyrings/"
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

rm -rf "$root" && mkdir -p "$root"
if [ -e "$fresh/base.tar" ]; then tar -C "$root" -xf "$fresh/base.tar"; else make_base; fi
copy_apt_settings
mkdir -p "$root/home/user"
cp -R "$fresh/tree" "$root/home/user/tiersim"
if [ -d ../shared ]; then cp -RL ../shared "$root/home/user/shared"; fi
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"

failed=0
for command in $commands; do
    start=$SECONDS
    echo "== ./quickstart $command"
    rc=0
    # shellcheck disable=SC2016 # $0 is the command, for the shell inside
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 ${FUZZ_SECONDS:+FUZZ_SECONDS="$FUZZ_SECONDS"} \
        chroot "$root" /bin/sh -c 'cd /home/user/tiersim && exec ./quickstart "$0"' "$command" </dev/null || rc=$?
    echo "== ./quickstart $command: exit code $rc after $((SECONDS - start)) s"
    [ "$rc" -eq 0 ] || failed=1
done
exit "$failed"
