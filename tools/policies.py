#!/usr/bin/env python3
"""Every eviction policy on the traces at hand, flat and prefix: writes results/policies/README.md and misses.csv.
Usage: tools/policies.py [build/tiersim]   (traces in $TIERSIM_TRACES or ../shared/traces)"""
import csv
import json
import os
import subprocess
import sys

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "build/tiersim"
OUT = "results/policies"
# trace, what it is, sizes in blocks
TRACES = [("mooncake/conversation_trace.jsonl", "an hour of chat, 512-token blocks", [4000, 16000, 64000]),
          ("agentic", "64 agent sessions, 64-token blocks", [10000, 20000, 40000]),
          ("blocks/cloudPhysicsIO.oracleGeneral.bin", "block I/O, each block counted as one", [1000, 4000, 16000])]
QUEUE = "64"


def replay(trace, sizes, semantics):
    command = [PROGRAM, "cache", trace, "--policy", "all", "--size", ",".join(map(str, sizes)), "--semantics", semantics,
               "--queue", QUEUE, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(answer, sizes, prefix):
    """Rows sorted by the middle size, best first; the share of accesses (prefix: of prompt tokens) that hit, in %."""
    by_policy = {}
    for r in answer["results"]:
        hit = r["token_hit_ratio"] if prefix else 1 - r["miss_ratio"]
        by_policy.setdefault((r["policy"], r["clairvoyant"]), {})[r["size"]] = 100 * hit
    rows = sorted(by_policy.items(), key=lambda item: (-item[1][sizes[1]], item[0]))
    lines = ["| policy | " + " | ".join(f"{size:,}" for size in sizes) + " |", "|---|" + "---:|" * len(sizes)]
    for (name, clairvoyant), hits in rows:
        if name != "skeleton":
            lines.append(f"| {name}{' *' if clairvoyant else ''} | " + " | ".join(f"{hits[s]:.2f}" for s in sizes) + " |")
    return lines


def main():
    os.makedirs(OUT, exist_ok=True)
    page = ["# Eviction policies on the traces at hand", "",
            "Written by `tools/policies.py`; every count is in [misses.csv](misses.csv). Hits in %, best first at the middle size: flat,",
            "of block accesses; prefix, of prompt tokens (a request hits its longest resident run). `*` sees the future; `queue-window`",
            f"knows the next {QUEUE} requests. Equal rows are equal rules there: without priorities `radix-priority` is `radix-lru`.",
            "Only the agentic trace tells of sessions: `continuation` and `kvflow` know nothing true of the others.", ""]
    with open(f"{OUT}/misses.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["trace", "semantics", "policy", "clairvoyant", "size_blocks", "accesses", "misses", "evicted",
                      "token_hit_ratio"])
        for trace, what, sizes in TRACES:
            for semantics in ["flat"] if trace.startswith("blocks") else ["flat", "prefix"]:
                answer = replay(trace, sizes, semantics)
                page += [f"## {trace}, {semantics}", f"{what}: {answer['accesses']:,} accesses to {answer['unique']:,} blocks.", ""]
                page += table(answer, sizes, semantics == "prefix") + [""]
                for r in answer["results"]:
                    if r["policy"] != "skeleton":
                        out.writerow([trace, semantics, r["policy"], r["clairvoyant"], r["size"], answer["accesses"],
                                      r["misses"], r["evicted"], r.get("token_hit_ratio", "")])
    with open(f"{OUT}/README.md", "w", encoding="utf-8") as file:
        file.write("\n".join(page[:-1]) + "\n")


main()
