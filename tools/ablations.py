#!/usr/bin/env python3
"""What each decision is worth: one replaced at a time, everything else as it is, over paired seeds.

    tools/ablations.py [-n SEEDS] >results/ablations.md          (make ablations)

For each scenario of BASES the base and every replacement run at one load on the same seeds, so that a pair differs by the
decision alone. A cell is the geometric mean over seeds of replaced / base, as a change in percent, with its 90 % interval
(Student's t of the logarithms). TIERSIM: the program. Nothing but Python's standard library.
"""
import argparse
import json
import math
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

TIERSIM = os.environ.get("TIERSIM", "build/tiersim")
T90 = {3: 2.92, 4: 2.353, 5: 2.132, 6: 2.015, 7: 1.943, 8: 1.895, 9: 1.86, 10: 1.833, 11: 1.812, 12: 1.796}

FIGURES = [("TTFT p50", lambda v: v["ttft_s"]["p50"]), ("TTFT p99", lambda v: v["ttft_s"]["p99"]),
           ("requests/s", lambda v: v["throughput"]["requests_per_s"]),
           ("$/Mtok", lambda v: v["cost"]["usd_per_million_tokens"])]


def tiers(**changes):
    """The base's tiers as YAML, each with the keys that change it; a change of None takes the tier away."""
    def build(base):
        out = []
        for tier in base:
            change = changes.get(tier["name"], {})
            if change is not None:
                out.append({**tier, **change})
        return out
    return build


def serving(**changes):
    return {"serving": changes}


CODEC = "200 GB/s"


def common(lower):
    """Replacements for a scenario of HBM, DRAM and the tier `lower`."""
    return [
        ("reuse", "recompute everything", serving(reuse="recompute")),
        ("reuse", "fetch from 2,048 tokens on", serving(reuse={"name": "threshold", "tokens": 2048})),
        ("reuse", "cheapest", serving(reuse="cheapest")),
        ("reuse", "both ends", serving(reuse="both-ends")),
        ("reuse", "layer by layer", serving(reuse="layerwise")),
        ("reuse", "fetch with a deadline", serving(reuse="deadline")),
        ("prefetch", "on arrival", serving(prefetch="on-arrival")),
        ("prefetch", "first 4 of the queue", serving(prefetch="queue-position")),
        ("admission", "DRAM: second hit", tiers(dram={"admit": "second-hit"})),
        ("admission", f"{lower}: second hit", tiers(**{lower: {"admit": "second-hit"}})),
        ("admission", f"{lower}: Dynamo's frequency", tiers(**{lower: {"admit": "dynamo-frequency"}})),
        ("write rule", "DRAM: at completion", tiers(dram={"write": "completion"})),
        ("write rule", "DRAM: on eviction", tiers(dram={"write": "eviction", "write_buffer": "64 GB"})),
        ("write rule", f"{lower}: as DRAM fills", tiers(**{lower: {"write": "fill", "write_from": "dram"}})),
        ("format", "DRAM: fp8", tiers(dram={"format": "fp8", "codec": CODEC})),
        ("format", f"{lower}: fp8", tiers(**{lower: {"format": "fp8", "codec": CODEC}})),
        ("format", f"{lower}: 4 bits", tiers(**{lower: {"format": "4bit", "codec": CODEC}})),
        ("eviction", "DRAM: fifo", tiers(dram={"evict": "fifo"})),
        ("eviction", "DRAM: s3fifo", tiers(dram={"evict": "s3fifo"})),
        ("routing", "least loaded", serving(route="least-loaded")),
        ("routing", "random", serving(route="random")),
        ("routing", "predicted TTFT", serving(route="predicted-ttft")),
        ("tier", "no DRAM", tiers(dram=None, **{lower: {"write": "fill"}})),
        ("tier", f"no {lower}", tiers(**{lower: None})),
    ]


DRAM = {"name": "dram", "scope": "node", "capacity": "1.5 TB", "write": "fill"}
BASES = [
    {"scenario": "long-context-agents", "load": 0.36,
     "words": "The demo at 72 agents, HBM, DRAM and SSD: always fetch, no prefetch, LRU, all is written, DRAM as HBM fills, SSD what DRAM evicts",
     "tiers": [{"name": "hbm"}, DRAM,
               {"name": "ssd", "scope": "node", "capacity": "28 TB", "write": "eviction", "write_buffer": "64 GB", "endurance_dwpd": 1}],
     "changes": common("ssd")},
    {"scenario": "external-kv-cache", "load": 4,
     "words": "The external KV cache at 1,600 agents, HBM, DRAM and the store: the same decisions, the store gets what DRAM evicts",
     "tiers": [{"name": "hbm"}, DRAM,
               {"name": "flash", "scope": "pod", "capacity": "120 TB", "write": "eviction", "write_buffer": "64 GB"}],
     "changes": common("flash")},
]


def variants(base):
    out = [{"name": "base", "tiers": base["tiers"]}]
    for i, (_, _, change) in enumerate(base["changes"]):
        built = {"tiers": change(base["tiers"])} if callable(change) else {"tiers": base["tiers"], **change}
        out.append({"name": f"v{i}", **built})
    return out


def run(base, seed, extra):
    """{variant name: its JSON} of one seed."""
    path = os.path.abspath(f"configs/scenarios/{base['scenario']}.yaml")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(f"include: {path}\nvariants: {json.dumps(variants(base))}\n") # JSON is YAML
        file.flush()
        words = [TIERSIM, "run", file.name, "--json", "--no-search", "-j", "1", "--seed", str(seed), "--set", f"load={base['load']}",
                 *extra]
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise SystemExit(answer.stderr)
    return {v["name"]: v for v in json.loads(answer.stdout)["variants"]}


def cell(pairs):
    logs = [math.log(new / old) for new, old in pairs]
    mean = sum(logs) / len(logs)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in logs) / (len(logs) - 1))
    half = T90[len(logs)] * deviation / math.sqrt(len(logs))
    low, middle, high = (100 * math.expm1(x) for x in (mean - half, mean, mean + half))
    sure = "**" if low > 0 or high < 0 else ""
    if middle >= 100:
        return f"{sure}x {1 + middle / 100:.3g}{sure} ({1 + low / 100:.3g} to {1 + high / 100:.3g})"
    digits = 0 if abs(middle) >= 10 else 1
    return f"{sure}{middle:+.{digits}f}{sure} ({low:+.{digits}f} to {high:+.{digits}f})"


def page(base, seeds, jobs, extra):
    with ThreadPoolExecutor(jobs) as pool:
        runs = list(pool.map(lambda seed: run(base, seed, extra), range(1, seeds + 1)))
    first = [sum(figure(r["base"]) for r in runs) / seeds for _, figure in FIGURES]
    print(f"\n## {base['scenario']}\n\n{base['words']}. Means of the base: "
          + ", ".join(f"{name} {value:.3g}" for (name, _), value in zip(FIGURES, first)) + ".\n")
    print("| decision | replaced by | " + " | ".join(name + " %" for name, _ in FIGURES) + " |")
    print("|---|---|" + "---|" * len(FIGURES))
    for i, (decision, by, _) in enumerate(base["changes"]):
        cells = [cell([(figure(r[f"v{i}"]), figure(r["base"])) for r in runs]) for _, figure in FIGURES]
        print(f"| {decision} | {by} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description="What each decision is worth, as Markdown.")
    parser.add_argument("-n", type=int, default=8, help="seeds, 3 to 12")
    parser.add_argument("-j", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--set", action="append", default=[], help="a value of every scenario, as in tiersim run")
    asked = parser.parse_args()
    extra = [word for value in asked.set for word in ("--set", value)]
    print("# What each decision is worth\n\n"
          "Written by `make ablations` (`tools/ablations.py`). In each row one decision is replaced, all others stay: the change in percent\n"
          f"against the base with its 90 % interval over {asked.n} paired seeds; bold where the interval leaves out 0; what more than doubles\n"
          "is a factor. All rows of a scenario carry the same load, in a closed loop: whoever answers faster serves more. Assumed: codecs\n"
          f"of lossy formats run at {CODEC}, and what they do to answers is not priced.")
    for base in BASES:
        page(base, asked.n, asked.j, extra)


if __name__ == "__main__":
    main()
