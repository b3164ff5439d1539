#!/usr/bin/env bash
# Which room may include which: the arrows of docs/design.md, downwards only. Prints each include that breaks them.
cd "$(dirname "$0")/.." || exit 2
# shellcheck disable=SC2016 # the dollar signs are awk's
find sim models policies validate -name '*.[ch]' -o -name '*.cc' -o -name '*.cu' -o -name '*.cuh' | sort | xargs awk '
BEGIN {
    may["sim/base"] = ""
    may["sim/engine"] = "sim/base"
    may["models"] = "sim/base"
    may["policies"] = "sim/base"
    may["sim/config"] = "sim/base"
    may["sim/output"] = "sim/base"
    may["sim/workload"] = "sim/engine sim/base"
    may["sim/memory"] = "sim/engine models policies sim/base"
    may["sim/serve"] = "sim/memory sim/workload sim/engine models policies sim/base"
    may["validate"] = "models sim/engine sim/config sim/base"
}
function room(path,    part) { split(path, part, "/"); return part[1] == "sim" ? part[1] "/" part[2] : part[1] }
function bad(why) { print FILENAME ":" FNR ": " why; broken = 1 }
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    from = room(FILENAME); to = quoted[2]
    if (to == "version.h" || from == "sim/cli") next
    if (to !~ /\//) { bad("include from the root of the tree: \"room/" to "\""); next }
    to = room(to)
    if (to == from) next
    if (!(from in may)) { bad(from " is no room known to tools/rooms.sh"); next }
    if (index(" " may[from] " ", " " to " ") == 0)
        bad(from " may include " (may[from] == "" ? "no other room" : may[from]) ", not " to)
}
END { exit broken }'
