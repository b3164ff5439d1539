#!/usr/bin/env python3
"""Every eviction policy on the traces at hand, flat and prefix: writes results/policies/README.md, misses.csv, and the
curves as CSV (all policies) and SVG (some of them).
Usage: tools/policies.py [build/tiersim]   (traces in $TIERSIM_TRACES or ../shared/traces; OUT: another folder)"""
import csv
import json
import os
import subprocess
import sys

PROGRAM = sys.argv[1] if len(sys.argv) > 1 else "build/tiersim"
OUT = os.environ.get("OUT", "results/policies")
# trace, what it is, sizes in blocks
TRACES = [("mooncake/conversation_trace.jsonl", "an hour of chat, 512-token blocks", [4000, 16000, 64000]),
          ("agentic", "64 agent sessions, 64-token blocks", [10000, 20000, 40000]),
          ("blocks/cloudPhysicsIO.oracleGeneral.bin", "block I/O, each block counted as one", [1000, 4000, 16000])]
QUEUE = "64"
CURVE = "0.5%..60%:12"
DRAWN = "lru,belady,lfu-perfect,arc,lirs,s3fifo,sieve,2q,gdsf,wtinylfu,lhd,kvflow,queue-window"


def replay(trace, sizes, semantics):
    command = [PROGRAM, "cache", trace, "--policy", "all", "--size", ",".join(map(str, sizes)), "--semantics", semantics,
               "--queue", QUEUE, "--bound", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def curve(trace, semantics):
    """Writes NAME.csv and NAME.svg; returns NAME."""
    name = f"{trace.split('/')[-1].split('.')[0].replace('_trace', '')}-{semantics}"
    command = [PROGRAM, "cache", trace, "--curve", "--size", CURVE, "--semantics", semantics, "--queue", QUEUE, "--policy"]
    subprocess.run(command + ["all", "--csv", f"{OUT}/{name}.csv"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(command + [DRAWN, "--svg", f"{OUT}/{name}.svg"], check=True, stdout=subprocess.DEVNULL)
    return name


def table(answer, sizes, prefix):
    """Rows sorted by the middle size, best first; the share of accesses (prefix: of prompt tokens) that hit, in %; and what
    share of the best that is: flat, of Belady's hits; prefix, of the most prefill seconds that any policy could save."""
    by_policy = {}
    for r in answer["results"]:
        hit = r["token_hit_ratio"] if prefix else 1 - r["miss_ratio"]
        by_policy.setdefault((r["policy"], r["clairvoyant"], r["state_bytes_per_block"]), {})[r["size"]] = (100 * hit, 100 * r["share_of_bound"])
    rows = sorted(by_policy.items(), key=lambda item: (-item[1][sizes[1]][0], item[0]))
    lines = ["| policy | " + " | ".join(f"{size:,}" for size in sizes) + " | " +
             " | ".join(("of the bound: " if n == 0 else "") + f"{size:,}" for n, size in enumerate(sizes)) + " | bytes |",
             "|---|" + "---:|" * (2 * len(sizes) + 1)]
    if prefix:
        most = [b["saved_at_most_s"] for b in answer["bounds"]]
        lines.append("| *the bound* | " + " | " * (len(sizes) - 1) + " | " + " | ".join(f"{s:.0f} s" for s in most) + " | |")
    for (name, clairvoyant, state), hits in rows:
        if name != "skeleton":
            lines.append(f"| {name}{' *' if clairvoyant else ''} | " + " | ".join(f"{hits[s][0]:.2f}" for s in sizes) + " | " +
                         " | ".join(f"{hits[s][1]:.1f}" for s in sizes) + f" | {state:.0f} |")
    return lines


class Missed:
    """What a curve's CSV says: of block accesses, or under prefix of prompt tokens, in %."""

    def __init__(self, name):
        with open(f"{OUT}/{name}.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        prefix = "token_hit_ratio" in rows[0]
        self.sizes = sorted({int(r["size"]) for r in rows})
        self.share = {(r["policy"], int(r["size"])): 100 * (1 - float(r["token_hit_ratio"]) if prefix else float(r["miss_ratio"]))
                      for r in rows}
        self.blind = sorted({r["policy"] for r in rows if r["clairvoyant"] == "no"} - {"skeleton"})

    def at(self, policy, number):
        return f"{self.share[policy, self.sizes[number]]:.1f}"

    def best(self, number):
        return min(self.blind, key=lambda policy: (self.share[policy, self.sizes[number]], policy != "lru"))


def winners(curve_of):
    """Who misses least of those that do not see the future, run by run of sizes."""
    runs = []
    for number, size in enumerate(curve_of.sizes):
        best = curve_of.best(number)
        if runs and runs[-1][0] == best:
            runs[-1][2] = size
        else:
            runs.append([best, size, size])
    return ", ".join(f"{name} ({low:,})" if low == high else f"{name} ({low:,} to {high:,})" for name, low, high in runs)


def story():
    """What the curves show, with their own figures."""
    chat, agents, prefix, disk = (Missed(f"{name}") for name in
                                  ("conversation-flat", "agentic-flat", "agentic-prefix", "cloudPhysicsIO-flat"))
    return [
        "## What the curves show", "",
        "Lines that end together are told apart at the left; with many sampled lines no interval is drawn, the CSV has all of them.", "",
        f"- **Chat.** Belady misses nothing but first accesses from {chat.sizes[5]:,} blocks on ({chat.at('belady', 5)} %); LRU comes near",
        f"  that at {chat.sizes[9]:,} ({chat.at('lru', 9)} %). Small caches want counts: at {chat.sizes[0]:,} blocks perfect LFU misses {chat.at('lfu-perfect', 0)} %,",
        f"  LRU {chat.at('lru', 0)} %. Large ones want recency: at {chat.sizes[8]:,} LRU misses {chat.at('lru', 8)} %, perfect LFU {chat.at('lfu-perfect', 8)} %, W-TinyLFU {chat.at('wtinylfu', 8)} %.",
        f"  Least of those that do not see the future: {winners(chat)}.",
        f"- **Agents** (flat). The ranking changes with the size: {winners(agents)}. At {agents.sizes[6]:,} blocks SIEVE misses {agents.at('sieve', 6)} %",
        f"  and W-TinyLFU {agents.at('wtinylfu', 6)} %, where LRU misses {agents.at('lru', 6)} %: what web caching learned does not hold for sessions that come back",
        f"  with all their history. Who knows the agents' order (kvflow) needs no more: {agents.at('kvflow', 10)} % at {agents.sizes[10]:,}, Belady {agents.at('belady', 10)} %.",
        f"- **Agents, prefix.** The same SIEVE leads in tiny caches ({prefix.at('sieve', 0)} % of tokens against LRU's {prefix.at('lru', 0)} % at {prefix.sizes[0]:,} blocks);",
        f"  at {prefix.sizes[6]:,} it misses {prefix.at('sieve', 6)} %, LRU {prefix.at('lru', 6)} %. Random eviction, harmless when flat",
        f"  ({agents.at('random', 6)} %), breaks chains: {prefix.at('random', 6)} %.",
        f"- **Block I/O.** At {disk.sizes[10]:,} LIRS misses {disk.at('lirs', 10)} %, W-TinyLFU {disk.at('wtinylfu', 10)} %, LRU {disk.at('lru', 10)} %, and even",
        f"  last in, first out (filo) {disk.at('filo', 10)} %. W-TinyLFU is second here, and among the worst on agents.",
        "- **Memory.** `bytes` in the tables is what a policy keeps for each block it holds at the middle size, measured on the heap",
        "  (`tiersim cache` prints it too), besides the tier's own slot and index. Perfect LFU keeps every id it ever saw.", "",
        "LRU, perfect LFU and Belady are exact, from one pass each; the others are sampled where there is enough to sample (`method` in",
        "the CSV, with the 95 % interval), else replayed at each size. How far samples are off: `tests/accuracy_curve.c`.", ""]


def main():
    os.makedirs(OUT, exist_ok=True)
    page = ["# Eviction policies on the traces at hand", "",
            "Written by `make policies` (`tools/policies.py`); every count is in [misses.csv](misses.csv), curves in a CSV each. Hits in %, best first at the middle size: flat,",
            "of block accesses; prefix, of prompt tokens (a request hits its longest resident run). `*` sees the future; `queue-window`",
            f"knows the next {QUEUE} requests. Equal rows are equal rules there: without priorities `radix-priority` is `radix-lru`.",
            "Only the agentic trace tells of sessions: `continuation`, `kvflow`, `spare-tail` and `continuum` know nothing true of the others.",
            "*Of the bound*, in %: flat, of the hits of Belady, which none exceeds; prefix, of an upper bound on the seconds of prefill that any policy",
            "could save (`sim/memory/saving_bound.c`): `belady` evicts leaves there, is no proven optimum, and its share says how near it is.",
            "What this means for TTFT and cost: [meaning.md](meaning.md). How fast each replays: [speed.md](speed.md).", ""]
    with open(f"{OUT}/misses.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["trace", "semantics", "policy", "clairvoyant", "size_blocks", "accesses", "misses", "evicted",
                      "token_hit_ratio"])
        for trace, what, sizes in TRACES:
            for semantics in ["flat"] if trace.startswith("blocks") else ["flat", "prefix"]:
                answer = replay(trace, sizes, semantics)
                page += [f"## {trace}, {semantics}", f"{what}: {answer['accesses']:,} accesses to {answer['unique']:,} blocks.", ""]
                page += [f"![misses by size]({curve(trace, semantics)}.svg)", ""]
                page += table(answer, sizes, semantics == "prefix") + [""]
                for r in answer["results"]:
                    if r["policy"] != "skeleton":
                        out.writerow([trace, semantics, r["policy"], r["clairvoyant"], r["size"], answer["accesses"],
                                      r["misses"], r["evicted"], r.get("token_hit_ratio", "")])
    page[10:10] = story()
    with open(f"{OUT}/README.md", "w", encoding="utf-8") as file:
        file.write("\n".join(page[:-1]) + "\n")


main()
